"""Alerts in Postgres, and the messages about them that are still to be sent."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

import msgspec

from nova_stream.storage.apply.sources import Noticed, noticed
from nova_stream.storage.database import Connection, read_committed
from nova_stream.storage.jobs import alerts_sql as sql_alerts


class RunFacts(msgspec.Struct, frozen=True):
    """A run as the alerts look at it; only a job's newest two carry their results."""

    job: str
    outcome: str
    duration_ms: float | None
    result: dict[str, Any] | None


class MissedFacts(msgspec.Struct, frozen=True):
    """Slots of a job that nobody ran."""

    job: str
    number: int
    newest: datetime


class AlertLine(msgspec.Struct, frozen=True, rename="camel"):
    """An alert; ``ended_at`` is None while its condition holds."""

    id: int
    kind: str
    subject: str
    message: str
    value: float | None
    began_at: datetime
    ended_at: datetime | None


class Delivery(msgspec.Struct, frozen=True):
    """A message that an alert began or ended, in its ``tries``-th try."""

    id: int
    event: str
    tries: int
    alert: AlertLine


class AlertStore:
    """The alerts over one connection; raises what asyncpg raises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction in which every statement sees what was committed before it."""
        return read_committed(self._connection)

    async def try_lock(self) -> bool:
        """Whether this transaction is the only one that looks now."""
        return bool(await self._connection.fetchval(sql_alerts.TRY_LOCK))

    async def runs(self, number: int) -> list[RunFacts]:
        """The newest ``number`` ended runs of each job, newest first."""
        rows = await self._connection.fetch(sql_alerts.RUNS, number)
        return [
            RunFacts(
                row["job"],
                row["outcome"],
                row["duration_ms"],
                None if row["result"] is None else msgspec.json.decode(row["result"]),
            )
            for row in rows
        ]

    async def moved(self) -> list[Noticed]:
        """Partitions whose source seems to have moved, by topic."""
        return await noticed(self._connection)

    async def missed(
        self, noted_since: datetime, lacking_since: datetime, now: datetime
    ) -> list[MissedFacts]:
        """Slots noted as missed since then, and those that have no line at all."""
        rows = await self._connection.fetch(sql_alerts.MISSED, noted_since, lacking_since, now)
        return [MissedFacts(**dict(row)) for row in rows]

    async def overdue(self, since: datetime, now: datetime) -> dict[str, float]:
        """Seconds since a slot of each job was due, from ``since`` on, that has no line, or since
        a run's lease ran out; jobs that are not overdue are absent.
        """
        rows = await self._connection.fetch(sql_alerts.OVERDUE, since, now)
        return {row["job"]: row["seconds"] for row in rows}

    async def open_alerts(self) -> list[AlertLine]:
        """Those that have begun and not ended, oldest first."""
        rows = await self._connection.fetch(sql_alerts.OPEN_ALERTS)
        return [AlertLine(**dict(row)) for row in rows]

    async def all_alerts(self, limit: int) -> list[AlertLine]:
        """The newest ``limit``, also those that have ended."""
        rows = await self._connection.fetch(sql_alerts.ALL_ALERTS, limit)
        return [AlertLine(**dict(row)) for row in rows]

    async def begin(
        self, kind: str, subject: str, message: str, value: float | None, now: datetime
    ) -> int | None:
        """Begin an alert and give its number; None where such a one is open."""
        number: int | None = await self._connection.fetchval(
            sql_alerts.BEGIN_ALERT, kind, subject, message, value, now
        )
        return number

    async def renew(self, alert: int, message: str, value: float | None) -> None:
        """Store what an open alert says now."""
        await self._connection.execute(sql_alerts.RENEW_ALERT, alert, message, value)

    async def end(self, alert: int, now: datetime) -> bool:
        """End an alert; False where it has ended."""
        return await self._connection.fetchval(sql_alerts.END_ALERT, alert, now) is not None

    async def queue(self, alert: int, event: str) -> None:
        """Have the webhook told of an alert's ``begin`` or ``end``."""
        await self._connection.execute(sql_alerts.QUEUE, alert, event)

    async def take_delivery(self, hold: float) -> Delivery | None:
        """The next message to send, which no other worker takes for ``hold`` seconds."""
        row = await self._connection.fetchrow(sql_alerts.TAKE, hold)
        if row is None:
            return None
        fields = dict(row)
        delivery = {name: fields.pop(name) for name in ("id", "event", "tries")}
        return Delivery(**delivery, alert=AlertLine(id=fields.pop("alert_id"), **fields))

    async def sent(self, delivery: int) -> None:
        await self._connection.execute(sql_alerts.SENT, delivery)

    async def not_sent(self, delivery: int, pause: float, error: str) -> None:
        """Try again after ``pause`` seconds."""
        await self._connection.execute(sql_alerts.NOT_SENT, delivery, pause, error)

    async def prune(self, before: datetime) -> None:
        """Delete alerts that ended before ``before``, unless the webhook has not been told."""
        await self._connection.execute(sql_alerts.PRUNE, before)
