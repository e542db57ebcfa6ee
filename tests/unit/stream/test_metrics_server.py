"""A worker's numbers are given to those with the token, where one is set."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from nova_stream.errors import SettingsError
from nova_stream.settings import load_settings
from nova_stream.stream import metrics_server
from nova_stream.stream.metrics_server import serve_metrics
from tests.logs import captured

TOKEN = "a-token-of-the-metrics"


def serve(**settings: object) -> str:
    """Serve a registry with one gauge; the address."""
    registry = CollectorRegistry()
    Gauge("nova_seen", "Seen.", registry=registry).set(7)
    with pytest.MonkeyPatch.context() as patching:
        log = captured(patching, metrics_server)
        serve_metrics(registry, load_settings(metrics_port=0, **settings))
    return str(log[0]["address"])


def test_without_a_token_everybody_gets_them() -> None:
    assert "nova_seen 7.0" in httpx.get(serve()).text


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        f"Bearer {TOKEN}x",
        TOKEN,
        f"Basic {TOKEN}",
        f"token {TOKEN}",
        "Bearer \u00fc",
    ],
)
def test_with_a_token_nobody_else_does(given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    answer = httpx.get(serve(metrics_token=TOKEN), headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert "nova_seen" not in answer.text
    assert TOKEN not in answer.text
    assert "NOVA_METRICS_TOKEN" in answer.text


def test_with_it_they_come() -> None:
    address = serve(metrics_token=TOKEN)
    assert "nova_seen 7.0" in httpx.get(address, headers={"Authorization": f"Bearer {TOKEN}"}).text


@pytest.mark.parametrize("token", ["short", "with blanks in between", "Umlaute-ärgern-Kopfzeilen"])
def test_a_token_that_cannot_be_one_is_refused(token: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(metrics_token=token)
    assert "NOVA_METRICS_TOKEN" in str(raised.value)
    assert token not in str(raised.value)
