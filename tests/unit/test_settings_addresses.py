"""What is wrong with an address is told without the password that may stand in it."""

from __future__ import annotations

import pytest

from nova_stream.errors import SettingsError
from nova_stream.settings import load_settings

SECRET = "s3cr3t"
ADDRESSES = [
    ("database_url", f"mysql://nova:{SECRET}@db/nova"),
    ("database_url", f"postgresql://nova:{SECRET}/x@db/nova"),
    ("schema_registry_url", f"http://nova:{SECRET}@registry:8081"),
    ("alert_webhook_url", f"ftp://nova:{SECRET}@hooks.example/x"),
    ("alert_slack_url", f"ftp://nova:{SECRET}@hooks.example/x"),
    ("smtp_url", f"smtp://nova:{SECRET}@mail.example/x"),
    ("smtp_url", f"http://nova:{SECRET}@mail.example"),
    ("smtp_url", f"smtp://nova:{SECRET}@mail.example:0"),
    ("smtp_url", f"smtp://nova:{SECRET}@mail.example:99999"),
    ("archive_url", f"https://key:{SECRET}@s3.example/bucket"),
    ("convex_url", f"https://nova:{SECRET}@happy-otter-123.convex.cloud"),
    ("convex_url", f"prod:happy-otter-123|{SECRET}"),
    ("kafka_brokers", f"nova:{SECRET}@kafka:9092x"),
    ("kafka_security", f"SASL@{SECRET}"),
    ("api_cors_origins", f"https://nova:{SECRET}@app.example"),
    ("api_trusted_proxies", f"nova:{SECRET}@10.0.0.7"),
]


@pytest.mark.parametrize(("name", "value"), ADDRESSES)
def test_an_address_with_a_password_is_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in ({name: value}, {}):
        if not given:
            monkeypatch.setenv(f"NOVA_{name.upper()}", value)
        with pytest.raises(SettingsError) as raised:
            load_settings(**given)
        assert f"NOVA_{name.upper()}" in str(raised.value)
        assert SECRET not in str(raised.value)


def test_what_has_none_is_shown() -> None:
    with pytest.raises(SettingsError, match="NOVA_ARCHIVE_URL='ftp://archive'"):
        load_settings(archive_url="ftp://archive")
