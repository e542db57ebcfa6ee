"""Alerts in Postgres, and the messages about them that are still to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from nova_stream.storage import locks
from nova_stream.storage.apply.positions import StoppedPartition, stopped
from nova_stream.storage.apply.sources import MovedSource, noticed
from nova_stream.storage.database import Connection
from nova_stream.storage.jobs.rows import ALERT_COLUMNS, Alert, alert_of

#: One worker at a time looks; the others leave it to that one.
_TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({locks.ALERTS})"

#: $1: how many runs of each job, the newest first; only the newest two with their results.
RUNS = """
SELECT j.job, r.outcome, r.duration_ms, r.query_ms,
    CASE WHEN r.place <= 2 THEN r.result END AS result
FROM job_settings j CROSS JOIN LATERAL (
    SELECT n.*, row_number() OVER (ORDER BY n.scheduled_at DESC) AS place FROM (
        SELECT scheduled_at, outcome, duration_ms, query_ms, result FROM job_runs
        WHERE job = j.job AND outcome IN ('ok', 'late', 'manual', 'failed', 'timed_out')
        ORDER BY scheduled_at DESC LIMIT $1
    ) n
) r
WHERE j.active ORDER BY j.job, r.place
"""

#: $1 since: missed slots that were noted after it. $2 from, $3 until: slots without a line.
_MISSED = """
SELECT job, count(*) AS number, max(slot) AS newest FROM (
    SELECT job, slot FROM job_runs WHERE outcome = 'missed' AND ended_at > $1
    UNION ALL
    SELECT job, slot FROM missing_job_slots($2, $3)
) m GROUP BY job ORDER BY job
"""

#: $1 from, $2 until: how long the oldest slot without a line is due, or a lease has run out.
_OVERDUE = """
SELECT job, extract(epoch FROM max(overdue))::float8 AS seconds FROM (
    SELECT job, $2 - scheduled_at AS overdue FROM missing_job_slots($1, $2)
    UNION ALL
    SELECT job, $2 - lease_until FROM job_runs WHERE outcome IS NULL AND lease_until < $2
) o GROUP BY job
"""

_OPEN_ALERTS = f"""
SELECT {ALERT_COLUMNS} FROM alerts WHERE ended_at IS NULL ORDER BY id
"""  # noqa: S608 - our own text

#: $1 kind, $2 subject, $3 message, $4 value, $5 now.
_BEGIN_ALERT = """
INSERT INTO alerts (kind, subject, message, value, began_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, subject) WHERE ended_at IS NULL DO NOTHING RETURNING id
"""
#: $1 alert, $2 message, $3 value.
_RENEW_ALERT = "UPDATE alerts SET message = $2, value = $3 WHERE id = $1"
#: $1 alert, $2 now.
_END_ALERT = """
UPDATE alerts SET ended_at = greatest($2, began_at) WHERE id = $1 AND ended_at IS NULL RETURNING id
"""

#: $1 alert, $2 who, $3 now.
_ACKNOWLEDGE = f"""
UPDATE alerts SET acknowledged_by = coalesce(acknowledged_by, $2),
    acknowledged_at = coalesce(acknowledged_at, $3)
WHERE id = $1 RETURNING {ALERT_COLUMNS}
"""  # noqa: S608 - our own text

#: $1 alert, $2 event, $3 channels.
_QUEUE = """
INSERT INTO alert_deliveries (alert_id, event, channel, next_try_at)
SELECT $1, $2, channel, clock_timestamp() FROM unnest($3::text[]) AS channel
ON CONFLICT DO NOTHING
"""

#: $1 channel; $2: seconds for which no other worker takes it. An end goes out after its begin.
_TAKE = """
UPDATE alert_deliveries t
SET tries = t.tries + 1, next_try_at = clock_timestamp() + make_interval(secs => $2)
FROM alerts a
WHERE a.id = t.alert_id AND t.id = (
    SELECT d.id FROM alert_deliveries d
    WHERE d.channel = $1 AND d.sent_at IS NULL AND d.next_try_at <= clock_timestamp()
        AND NOT EXISTS (
            SELECT FROM alert_deliveries e
            WHERE (e.alert_id, e.channel) = (d.alert_id, d.channel) AND e.id < d.id
                AND e.sent_at IS NULL
        )
    ORDER BY d.id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING t.id AS delivery, t.event, t.tries, a.id, a.kind, a.subject, a.message, a.value,
    a.began_at, CASE WHEN t.event = 'end' THEN a.ended_at END AS ended_at, a.acknowledged_at,
    a.acknowledged_by
"""
#: $1 delivery.
_SENT = "UPDATE alert_deliveries SET sent_at = clock_timestamp(), error = NULL WHERE id = $1"
#: $1 delivery, $2 pause in seconds, $3 error.
_NOT_SENT = """
UPDATE alert_deliveries
SET next_try_at = clock_timestamp() + make_interval(secs => $2), error = $3 WHERE id = $1
"""

#: $1 cut, $2 channels: what ended before it and waits for no delivery to one of them.
_PRUNE = """
DELETE FROM alerts a WHERE a.ended_at < $1 AND NOT EXISTS (
    SELECT FROM alert_deliveries d
    WHERE d.alert_id = a.id AND d.sent_at IS NULL AND d.channel = ANY($2)
)
"""


class RunFacts(msgspec.Struct, frozen=True):
    """A run as the alerts look at it; only a job's newest two carry their results."""

    job: str
    outcome: str
    duration_ms: float | None
    result: dict[str, Any] | None
    query_ms: float | None = None


class MissedFacts(msgspec.Struct, frozen=True):
    """Slots of a job that nobody ran."""

    job: str
    number: int
    newest: datetime


class Delivery(msgspec.Struct, frozen=True):
    """A message that an alert began or ended, in its ``tries``-th try."""

    id: int
    event: str
    tries: int
    alert: Alert


class AlertStore:
    """The alerts over one connection; raises what asyncpg raises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def try_lock(self) -> bool:
        """Whether this transaction is the only one that looks now."""
        return bool(await self._connection.fetchval(_TRY_LOCK))

    async def runs(self, number: int) -> list[RunFacts]:
        """The newest ``number`` ended runs of each job, newest first."""
        rows = await self._connection.fetch(RUNS, number)
        return [
            RunFacts(
                row["job"],
                row["outcome"],
                row["duration_ms"],
                None if row["result"] is None else msgspec.json.decode(row["result"]),
                row["query_ms"],
            )
            for row in rows
        ]

    async def moved(self) -> list[MovedSource]:
        """Partitions whose source seems to have moved, by topic."""
        return await noticed(self._connection)

    async def stopped(self) -> list[StoppedPartition]:
        """Partitions that stand, since most of their records would be dead letters, by topic."""
        return await stopped(self._connection)

    async def missed(
        self, noted_since: datetime, lacking_since: datetime, now: datetime
    ) -> list[MissedFacts]:
        """Slots noted as missed since then, and those that have no line at all."""
        rows = await self._connection.fetch(_MISSED, noted_since, lacking_since, now)
        return [MissedFacts(**dict(row)) for row in rows]

    async def overdue(self, since: datetime, now: datetime) -> dict[str, float]:
        """Seconds since a slot of each job was due, from ``since`` on, that has no line, or since
        a run's lease ran out; jobs that are not overdue are absent.
        """
        rows = await self._connection.fetch(_OVERDUE, since, now)
        return {row["job"]: row["seconds"] for row in rows}

    async def open_alerts(self) -> list[Alert]:
        """Those that have begun and not ended, oldest first."""
        rows = await self._connection.fetch(_OPEN_ALERTS)
        return [alert_of(row) for row in rows]

    async def begin(
        self, kind: str, subject: str, message: str, value: float | None, now: datetime
    ) -> int | None:
        """Begin an alert and give its number; None where such a one is open."""
        number: int | None = await self._connection.fetchval(
            _BEGIN_ALERT, kind, subject, message, value, now
        )
        return number

    async def renew(self, alert: int, message: str, value: float | None) -> None:
        """Store what an open alert says now."""
        await self._connection.execute(_RENEW_ALERT, alert, message, value)

    async def end(self, alert: int, now: datetime) -> bool:
        """End an alert; False where it has ended."""
        return await self._connection.fetchval(_END_ALERT, alert, now) is not None

    async def acknowledge(self, alert: int, who: str, now: datetime) -> Alert | None:
        """Note that somebody sees to an alert; who was there first stays. None if there is none."""
        row = await self._connection.fetchrow(_ACKNOWLEDGE, alert, who, now)
        return None if row is None else alert_of(row)

    async def queue(self, alert: int, event: str, channels: Sequence[str]) -> None:
        """Have ``channels`` told of an alert's ``begin`` or ``end``."""
        await self._connection.execute(_QUEUE, alert, event, channels)

    async def take_delivery(self, channel: str, hold: float) -> Delivery | None:
        """The next message for a channel, which no other worker takes for ``hold`` seconds."""
        row = await self._connection.fetchrow(_TAKE, channel, hold)
        if row is None:
            return None
        return Delivery(row["delivery"], row["event"], row["tries"], alert_of(row))

    async def sent(self, delivery: int) -> None:
        await self._connection.execute(_SENT, delivery)

    async def not_sent(self, delivery: int, pause: float, error: str) -> None:
        """Try again after ``pause`` seconds."""
        await self._connection.execute(_NOT_SENT, delivery, pause, error)

    async def prune(self, before: datetime, channels: Sequence[str]) -> None:
        """Delete alerts that ended before ``before``, unless one of ``channels`` has not been
        told.
        """
        await self._connection.execute(_PRUNE, before, channels)
