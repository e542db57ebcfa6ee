"""Alerts, out: each one's begin and end is posted at least once to NOVA_ALERT_WEBHOOK_URL."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import aiohttp

from nova_stream.clock import isoformat
from nova_stream.jobs.session import Session
from nova_stream.settings import Settings
from nova_stream.storage.alert_store import AlertStore, Delivery
from nova_stream.storage.database import describe
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_TIMEOUT = 10.0
#: While one worker may be sending a message, no other one does. Seconds.
_HOLD = 30.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 300.0


class Webhook:
    """Posts what waits to be told; its address is never logged, since it may hold a secret."""

    def __init__(self, settings: Settings) -> None:
        assert settings.alert_webhook_url is not None
        self._url = settings.alert_webhook_url.get_secret_value()
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
                    _log.warning("the alert webhook did not take a message", error=error,
                                 alert=delivery.alert.kind, tries=delivery.tries)  # fmt: skip
        return sent

    def close(self) -> None:
        """Drop the database connection."""
        self._session.close()

    async def _take(self) -> Delivery | None:
        async with self._session.use() as connection:
            return await AlertStore(connection).take_delivery(_HOLD)

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
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        headers = {"Idempotency-Key": key}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as client,
                client.post(self._url, json=body, headers=headers) as answer,
            ):
                return None if answer.status < 300 else f"HTTP {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__


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
        "beganAt": isoformat(alert.began_at),
        "endedAt": None if alert.ended_at is None else isoformat(alert.ended_at),
        "text": f"nova-stream: {text}",  # what chat programs show
    }


def _pause(tries: int) -> float:
    pause = float(min(_FIRST_PAUSE * 2 ** min(tries - 1, 20), _LONGEST_PAUSE))
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 - so that not all come at once
