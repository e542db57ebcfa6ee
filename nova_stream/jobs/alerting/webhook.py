"""Alerts, out: each one's begin and end is posted at least once to NOVA_ALERT_WEBHOOK_URL."""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec

from nova_stream.clock import isoformat
from nova_stream.jobs.engine.session import Session
from nova_stream.settings import Settings
from nova_stream.storage.database import describe
from nova_stream.storage.jobs.alerts import AlertStore, Delivery
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

SIGNATURE = "Nova-Signature"
_TIMEOUT_S = 10.0
#: While one worker may be sending a message, no other one does. Seconds.
_HOLD_S = 30.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0


class Webhook:
    """Posts what waits to be told; its address is never logged, since it may hold a secret.

    A message is taken when the address itself answers with 2xx: redirects are not followed, since
    they would lead it to somebody else. It is signed where there is a secret.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.alert_webhook_url is not None
        self._url = settings.alert_webhook_url.get_secret_value()
        secret = settings.alert_webhook_secret
        self._secret = None if secret is None else secret.get_secret_value().encode()
        self._settings = settings
        self._session = Session(settings, "webhook")

    async def deliver(self) -> int:
        """Post all messages whose time has come; gives how many were taken.

        One that is refused waits 1 s, then 2, 4 and so on up to 5 minutes, and is tried until it
        is taken. Raises DatabaseUnavailableError or what asyncpg raises.
        """
        sent = 0
        while (delivery := await self._take()) is not None:
            error = await self._post(_message(delivery), f"nova-stream-alert-{delivery.id}")
            async with self._session.use() as connection:
                store = AlertStore(connection)
                if error is None:
                    await store.sent(delivery.id)
                    sent += 1
                else:
                    await store.not_sent(delivery.id, _pause(delivery.tries), error)
                    _log.warning(
                        "the alert webhook did not take a message",
                        error=error,
                        alert=delivery.alert.kind,
                        tries=delivery.tries,
                    )
        return sent

    def close(self) -> None:
        """Drop the database connection."""
        self._session.close()

    async def _take(self) -> Delivery | None:
        async with self._session.use() as connection:
            return await AlertStore(connection).take_delivery(_HOLD_S)

    async def tell_outage(self, event: str, began_at: datetime, now: datetime) -> bool:
        """Post that Postgres is away, or back again: no row can say so. False when not taken."""
        where = describe(self._settings)
        message = f"Postgres at {where} does not answer"
        over = event == "end"
        body = {
            "event": event,
            "alert": None,
            "kind": "database",
            "subject": where,
            "message": message,
            "value": (now - began_at).total_seconds(),
            "beganAt": isoformat(began_at),
            "endedAt": isoformat(now) if over else None,
            "text": f"nova-stream: {'over: ' if over else ''}{message}",
        }
        key = f"nova-stream-outage-{began_at.timestamp():.0f}-{event}"
        return await self._post(body, key) is None

    async def _post(self, body: dict[str, Any], key: str) -> str | None:
        """What went wrong, None when the message was taken."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        data = msgspec.json.encode(body)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        if self._secret is not None:
            headers[SIGNATURE] = signature(self._secret, data, int(time.time()))
        try:
            async with (
                # Without trust_env, which would send a password of ~/.netrc.
                aiohttp.ClientSession(timeout=timeout) as client,
                client.post(
                    self._url,
                    data=data,
                    headers=headers,
                    proxy=_proxy(self._url),
                    allow_redirects=False,
                ) as answer,
            ):
                return None if 200 <= answer.status < 300 else f"HTTP {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__


def signature(secret: bytes, body: bytes, seconds: int) -> str:
    """The header that proves who sent ``body`` and when, in seconds since 1970."""
    digest = hmac.new(secret, b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _message(delivery: Delivery) -> dict[str, Any]:
    alert = delivery.alert
    text = alert.message if delivery.event == "begin" else f"over: {alert.message}"
    return {
        "event": delivery.event,
        "alert": alert.id,
        "kind": alert.kind,
        "subject": alert.subject,
        "message": alert.message,
        "value": alert.value,
        "beganAt": alert.began_at,
        "endedAt": alert.ended_at,
        "text": f"nova-stream: {text}",  # what chat programs show
    }


def _pause(tries: int) -> float:
    pause = float(min(_FIRST_PAUSE_S * 2 ** min(tries - 1, 20), _LONGEST_PAUSE_S))
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 - so that not all come at once
