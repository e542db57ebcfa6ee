"""Alerts to addresses that take JSON: NOVA_ALERT_WEBHOOK_URL, NOVA_ALERT_SLACK_URL."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec

from nova_stream.jobs.alerting.messages import Message

SIGNATURE = "Nova-Signature"
_TIMEOUT_S = 10.0


class Webhook:
    """Posts messages as they are, signed where there is a secret.

    A message is taken when the address itself answers with 2xx: redirects are not followed, since
    they would lead it to somebody else. The address is never told, since it may hold a secret.
    """

    name = "webhook"

    def __init__(self, url: str, secret: str | None = None) -> None:
        self._url = url
        self._secret = None if secret is None else secret.encode()

    async def send(self, message: Message, key: str) -> str | None:
        """As ``Channel``; the key is the header ``Idempotency-Key``."""
        data = msgspec.json.encode(message)
        headers = {"Idempotency-Key": key}
        if self._secret is not None:
            headers[SIGNATURE] = signature(self._secret, data, int(time.time()))
        return await _post(self._url, data, headers)


class Slack:
    """Posts messages to an incoming webhook of Slack, or of what takes the same form."""

    name = "slack"

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, message: Message, _key: str) -> str | None:
        """As ``Channel``; Slack knows no keys, so that a message may come twice."""
        mark = ":white_check_mark:" if message.over else ":warning:"
        text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return await _post(self._url, msgspec.json.encode({"text": f"{mark} {text}"}), {})


def signature(secret: bytes, body: bytes, seconds: int) -> str:
    """The header that proves who sent ``body`` and when, in seconds since 1970."""
    digest = hmac.new(secret, b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


async def _post(url: str, data: bytes, headers: dict[str, str]) -> str | None:
    """What went wrong, None when the data were taken."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            # Without trust_env, which would send a password of ~/.netrc.
            aiohttp.ClientSession(timeout=timeout) as client,
            client.post(
                url,
                data=data,
                headers={"Content-Type": "application/json", **headers},
                proxy=_proxy(url),
                allow_redirects=False,
            ) as answer,
        ):
            return None if 200 <= answer.status < 300 else f"HTTP {answer.status}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return type(error).__name__


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
