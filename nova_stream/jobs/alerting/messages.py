"""What is told of an alert, whoever it is told to."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from nova_stream.clock import isoformat
from nova_stream.settings import Settings
from nova_stream.storage.database import describe
from nova_stream.storage.jobs.alerts import Delivery


class Message(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """That an alert has begun or ended, in the form that the webhook has it.

    ``alert`` is its number, None for an outage of Postgres, which no row can tell of.
    """

    event: Literal["begin", "end"]
    alert: int | None
    kind: str
    subject: str
    message: str
    value: float | None
    began_at: str
    ended_at: str | None
    #: A sentence that says it all, for chat programs.
    text: str

    @property
    def over(self) -> bool:
        """Whether it says that an alert has ended."""
        return self.event == "end"


class Channel(Protocol):
    """A way to somebody who is told of alerts; ``name`` is the one that deliveries have."""

    name: str

    async def send(self, message: Message, key: str) -> str | None:
        """Hand a message over; why it was not taken, in words without secrets, or None.

        ``key`` is the same for all tries of a message.
        """
        ...


def message_of(delivery: Delivery) -> Message:
    """What a delivery tells."""
    alert = delivery.alert
    return Message(
        event="end" if delivery.event == "end" else "begin",
        alert=alert.id,
        kind=alert.kind,
        subject=alert.subject,
        message=alert.message,
        value=alert.value,
        began_at=alert.began_at,
        ended_at=alert.ended_at,
        text=_text(alert.message, over=delivery.event == "end"),
    )


def outage(settings: Settings, began_at: datetime, now: datetime, *, over: bool) -> Message:
    """That Postgres is away, or back again."""
    where = describe(settings)
    message = f"Postgres at {where} does not answer"
    return Message(
        event="end" if over else "begin",
        alert=None,
        kind="database",
        subject=where,
        message=message,
        value=(now - began_at).total_seconds(),
        began_at=isoformat(began_at),
        ended_at=isoformat(now) if over else None,
        text=_text(message, over=over),
    )


def _text(message: str, *, over: bool) -> str:
    return f"nova-stream: {'over: ' if over else ''}{message}"
