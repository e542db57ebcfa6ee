"""How Kafka clients connect: what the settings say, or one line that says what is wrong."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from nova_stream.errors import SettingsError
from nova_stream.kafka.options import client_options
from nova_stream.settings import Settings, load_settings

BROKERS = "one.example:9092,two.example:9093"
SASL = {
    "kafka_security": "SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_username": "nova",
    "kafka_password": "very secret",
}


def settings(**fields: Any) -> Settings:
    return load_settings(kafka_brokers=BROKERS, **fields)


def test_without_encryption() -> None:
    assert client_options(settings()) == {
        "bootstrap_servers": ["one.example:9092", "two.example:9093"],
        "security_protocol": "PLAINTEXT",
    }


def test_with_encryption_and_password() -> None:
    options = client_options(settings(**SASL))

    assert isinstance(options.pop("ssl_context"), ssl.SSLContext)
    assert options == {
        "bootstrap_servers": ["one.example:9092", "two.example:9093"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "nova",
        "sasl_plain_password": "very secret",
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"kafka_security": "SASL_PLAINTEXT", "kafka_password": "very secret"},
            "NOVA_KAFKA_USERNAME is not set; NOVA_KAFKA_SECURITY=SASL_PLAINTEXT needs it",
        ),
        (
            {"kafka_security": "SASL_PLAINTEXT", "kafka_username": "nova"},
            "NOVA_KAFKA_PASSWORD is not set; NOVA_KAFKA_SECURITY=SASL_PLAINTEXT needs it",
        ),
        (
            {"kafka_security": "SSL", "kafka_ca_file": "/nowhere/ca.pem"},
            "NOVA_KAFKA_CA_FILE='/nowhere/ca.pem': No such file or directory; a PEM file that can "
            "be read is allowed",
        ),
        (
            {"kafka_security": "SSL", "kafka_key_file": __file__},
            "NOVA_KAFKA_CERT_FILE is not set; NOVA_KAFKA_KEY_FILE needs it",
        ),
    ],
)
def test_what_is_missing_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        client_options(settings(**fields))

    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["kafka_ca_file", "kafka_cert_file"])
def test_a_file_that_is_no_certificate_is_named(name: str, tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text("not PEM")

    with pytest.raises(SettingsError, match=f"NOVA_{name.upper()}.*PEM"):
        client_options(settings(kafka_security="SSL", **{name: str(file)}))
