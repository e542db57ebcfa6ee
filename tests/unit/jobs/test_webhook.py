"""Messages of the webhook: signed, to the address that is configured and to nobody else."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from nova_stream.errors import SettingsError
from nova_stream.jobs.alerting.messages import outage
from nova_stream.jobs.alerting.webhook import Slack, Webhook, signature
from nova_stream.settings import load_settings

NOON = datetime(2026, 2, 20, 12, 0, tzinfo=UTC)
SECRET = "a secret of the two"
MESSAGE = outage(load_settings(), NOON, NOON, over=False)


class Receiver:
    """A server on this machine that answers with ``status`` and notes what it is sent."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.path, headers, await request.read()))
        return web.Response(status=self.status, headers={"Location": f"{self.url}/other"})


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "taken"),
    [
        (200, True),
        (202, True),
        (204, True),
        (301, False),
        (302, False),
        (303, False),
        (304, False),
        (307, False),
        (308, False),
        (400, False),
        (500, False),
    ],
)
async def test_a_message_is_taken_by_a_2xx_of_the_address_itself(status: int, taken: bool) -> None:
    async with receiving() as receiver:
        receiver.status = status
        for channel in (Webhook(f"{receiver.url}/hook"), Slack(f"{receiver.url}/hook")):
            assert await channel.send(MESSAGE, "k") == (None if taken else f"HTTP {status}")
        assert [(method, path) for method, path, _, _ in receiver.seen] == [("POST", "/hook")] * 2


async def test_a_message_is_signed_with_the_secret() -> None:
    async with receiving() as receiver:
        assert await Webhook(f"{receiver.url}/hook", SECRET).send(MESSAGE, "k") is None
        ((_, _, headers, body),) = receiver.seen
        seconds, _, digest = headers["nova-signature"].removeprefix("t=").partition(",v1=")
        assert abs(int(seconds) - time.time()) < 60
        signed = seconds.encode() + b"." + body
        assert digest == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert json.loads(body)["kind"] == "database"
        assert headers["content-type"] == "application/json"
        assert SECRET not in str(receiver.seen)


def test_another_body_or_time_has_another_signature() -> None:
    made = {signature(b"s", body, at) for body in (b"", b"1", b"2") for at in (1, 2, 11)}
    assert len(made) == 9


async def test_nothing_of_netrc_is_sent_and_nothing_unsigned_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password hush\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with receiving() as receiver:
        await Webhook(receiver.url).send(MESSAGE, "k")
        ((_, _, headers, _),) = receiver.seen
        assert "authorization" not in headers
        assert "nova-signature" not in headers


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert await Webhook("http://hooks.invalid/x").send(MESSAGE, "k") is None
        assert len(proxy.seen) == 1


async def test_slack_gets_a_sentence_that_is_no_markup() -> None:
    async with receiving() as receiver:
        text = "nova-stream: over: <!channel> is 1 & 2"
        message = msgspec.structs.replace(MESSAGE, event="end", text=text)
        assert await Slack(f"{receiver.url}/services/T0").send(message, "k") is None
        ((_, path, headers, body),) = receiver.seen
        assert (path, headers["content-type"]) == ("/services/T0", "application/json")
        said = "nova-stream: over: &lt;!channel&gt; is 1 &amp; 2"
        assert json.loads(body) == {"text": f":white_check_mark: {said}"}


@pytest.mark.parametrize("name", ["alert_webhook_url", "alert_slack_url"])
@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://hooks.example/x", True),
        ("https://HOOKS.example:8443/x", True),
        ("https://hooks.example.evil/x", False),
        ("https://hooks.example@evil/x", False),
        ("http://127.0.0.1/x", False),
    ],
)
def test_only_hosts_that_are_allowed_are_told(name: str, url: str, allowed: bool) -> None:
    hosts = "hooks.example, other.example"
    if allowed:
        load_settings(**{name: url}, alert_webhook_hosts=hosts)
        return
    with pytest.raises(SettingsError) as raised:
        load_settings(**{name: url}, alert_webhook_hosts=hosts)
    assert "NOVA_ALERT_WEBHOOK_HOSTS=hooks.example,other.example" in str(raised.value)
    assert url not in str(raised.value)


def test_hosts_of_separators_alone_are_no_permission() -> None:
    with pytest.raises(SettingsError, match="NOVA_ALERT_WEBHOOK_HOSTS"):
        load_settings(alert_webhook_url="https://x.example/", alert_webhook_hosts=" , ")


def test_a_short_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(alert_webhook_secret="short")
    told = "NOVA_ALERT_WEBHOOK_SECRET: 16 characters or more are allowed (value not shown)"
    assert str(raised.value) == told
