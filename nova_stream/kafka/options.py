"""How every Kafka client of nova-stream connects: addresses, TLS and SASL from the settings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from nova_stream.errors import SettingsError
from nova_stream.settings import Settings

_FILES = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file")


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients that say where and how to connect.

    Raises SettingsError when a certificate cannot be read or a name or password is missing.
    """
    _check(settings)
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.kafka_brokers),
        "security_protocol": settings.kafka_security,
    }
    if _encrypted(settings):
        options["ssl_context"] = _ssl_context(settings)
    if _authenticated(settings):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = _password(settings)
    return options


def _encrypted(settings: Settings) -> bool:
    return settings.kafka_security.endswith("SSL")


def _authenticated(settings: Settings) -> bool:
    return settings.kafka_security.startswith("SASL")


def _password(settings: Settings) -> str:
    assert settings.kafka_password is not None
    return settings.kafka_password.get_secret_value()


def _check(settings: Settings) -> None:
    if _authenticated(settings):
        for name in ("kafka_username", "kafka_password"):
            if getattr(settings, name) is None:
                raise SettingsError(
                    f"NOVA_{name.upper()} is not set; "
                    f"NOVA_KAFKA_SECURITY={settings.kafka_security} needs it"
                )
    if _encrypted(settings):
        for name in _FILES:
            _check_file(name, getattr(settings, name))
        if settings.kafka_key_file and not settings.kafka_cert_file:
            raise SettingsError("NOVA_KAFKA_CERT_FILE is not set; NOVA_KAFKA_KEY_FILE needs it")


def _check_file(name: str, value: str | None) -> None:
    if value is None:
        return
    try:
        with Path(value).open("rb"):
            pass
    except OSError as error:
        raise SettingsError(
            f"NOVA_{name.upper()}={value!r}: {error.strerror}; a PEM file that can be read is "
            "allowed"
        ) from None


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
        if settings.kafka_cert_file:
            # A password, so that a locked key is an error and not a question on the terminal.
            context.load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file, password="")
    except ssl.SSLError as error:
        names = ", ".join(f"NOVA_{name.upper()}" for name in _FILES if getattr(settings, name))
        raise SettingsError(
            f"{names}: {error.reason or error}; certificates and key in PEM form that belong "
            "together are allowed"
        ) from None
    return context
