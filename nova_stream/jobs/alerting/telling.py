"""Telling of alerts: each one's begin and end, at least once, to everybody who is configured."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime

from nova_stream.jobs.alerting.mail import Mail
from nova_stream.jobs.alerting.messages import Channel, Message, message_of, outage
from nova_stream.jobs.alerting.webhook import Slack, Webhook
from nova_stream.jobs.engine.session import Session
from nova_stream.settings import Settings
from nova_stream.smtp_url import mail_server
from nova_stream.storage.jobs.alerts import AlertStore, Delivery
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: While one worker may be sending a message, no other one does. Seconds.
_HOLD_S = 30.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0


def channels(settings: Settings) -> list[Channel]:
    """Everybody who is to be told, as the settings say."""
    found: list[Channel] = []
    if settings.alert_webhook_url is not None:
        secret = settings.alert_webhook_secret
        found.append(
            Webhook(
                settings.alert_webhook_url.get_secret_value(),
                None if secret is None else secret.get_secret_value(),
            )
        )
    if settings.alert_slack_url is not None:
        found.append(Slack(settings.alert_slack_url.get_secret_value()))
    if settings.alert_email_to and settings.alert_email_from and settings.smtp_url is not None:
        server = mail_server(settings.smtp_url.get_secret_value())
        found.append(Mail(server, settings.alert_email_from, settings.alert_email_to))
    return found


class Teller:
    """Sends what waits to be told; the channels do not wait for each other."""

    def __init__(self, settings: Settings, to: Sequence[Channel]) -> None:
        self._settings = settings
        self._channels = list(to)
        self._session = Session(settings, "alert channels")
        #: Since when the outage is of which a channel has been told, by its name.
        self._told: dict[str, datetime] = {}

    async def deliver(self) -> int:
        """Send all messages whose time has come; gives how many were taken.

        One that is refused waits 1 s, then 2, 4 and so on up to 5 minutes, and is tried until it
        is taken. Raises DatabaseUnavailableError or what asyncpg raises.
        """
        work = (self._deliver(channel) for channel in self._channels)
        sent = 0
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
            sent += result
        return sent

    async def tell_outage(self, since: datetime, now: datetime) -> None:
        """Tell of an outage of Postgres everybody who has not been told."""
        for channel in self._channels:
            if channel.name not in self._told:
                message = outage(self._settings, since, now, over=False)
                if await self._sent(channel, message, since):
                    self._told[channel.name] = since

    async def tell_end_of_outage(self, now: datetime) -> None:
        """Tell everybody who has been told of an outage that Postgres is back."""
        for channel in self._channels:
            if (since := self._told.get(channel.name)) is not None:
                message = outage(self._settings, since, now, over=True)
                if await self._sent(channel, message, since):
                    del self._told[channel.name]

    def close(self) -> None:
        """Drop the database connection."""
        self._session.close()

    async def _deliver(self, channel: Channel) -> int:
        sent = 0
        while (delivery := await self._take(channel)) is not None:
            error = await channel.send(message_of(delivery), _key(delivery))
            async with self._session.use() as connection:
                store = AlertStore(connection)
                if error is None:
                    await store.sent(delivery.id)
                    sent += 1
                else:
                    await store.not_sent(delivery.id, _pause(delivery.tries), error)
                    _log.warning(
                        "an alert could not be told",
                        channel=channel.name,
                        error=error,
                        alert=delivery.alert.kind,
                        tries=delivery.tries,
                    )
        return sent

    async def _take(self, channel: Channel) -> Delivery | None:
        async with self._session.use() as connection:
            return await AlertStore(connection).take_delivery(channel.name, _HOLD_S)

    async def _sent(self, channel: Channel, message: Message, since: datetime) -> bool:
        key = f"nova-stream-outage-{since.timestamp():.0f}-{message.event}"
        return await channel.send(message, key) is None


def _key(delivery: Delivery) -> str:
    return f"nova-stream-alert-{delivery.alert.id}-{delivery.event}"


def _pause(tries: int) -> float:
    pause = float(min(_FIRST_PAUSE_S * 2 ** min(tries - 1, 20), _LONGEST_PAUSE_S))
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 - so that not all come at once
