"""Counting days of executions that are over, and their hours, so that long ranges of time need not
be read by rows.

A flush that changes an execution of a counted day opens that day and all after it again, under the
lock of the agent's name; so does this, so that in every snapshot what is counted equals the rows.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from nova_stream.storage import locks
from nova_stream.storage.apply.figures_sql import LOCK_FIGURES
from nova_stream.storage.database import Connection
from nova_stream.storage.stats.histogram import BIN, OF_BIN

_BEHIND = """
SELECT DISTINCT p.agent FROM agent_stats_partials p
LEFT JOIN execution_days_until k ON k.agent = p.agent
WHERE k.until IS NULL OR k.until < $1 ORDER BY 1
"""
_UNTIL = "SELECT until FROM execution_days_until WHERE agent = $1"
#: The first of a name's executions between $2 (null = ever) and $3.
_FIRST = """
SELECT date_trunc('day', min(timestamp), 'UTC') FROM executions
WHERE agent = $1 AND timestamp >= coalesce($2::timestamptz, '-infinity') AND timestamp < $3
"""
_FORGET = [
    f"""
DELETE FROM execution_{table}s
WHERE agent = $1 AND {table} >= coalesce($2::timestamptz, '-infinity')
"""  # noqa: S608 - made from our own constants
    for table in ("day", "hour")
]
_COUNT_HOURS = f"""
INSERT INTO execution_hours (agent, hour, executions, timed, duration_sum, histogram)
SELECT $1, hour, sum(executions), sum(timed), coalesce(sum(duration_sum), 0), sum({OF_BIN})
FROM (
    SELECT hour, bin, count(*) AS executions, count(duration) AS timed,
        sum(duration) AS duration_sum
    FROM (
        SELECT date_trunc('hour', timestamp, 'UTC') AS hour, duration, {BIN} AS bin FROM executions
        WHERE agent = $1 AND timestamp >= $2 AND timestamp < $2::timestamptz + interval '24 hours'
    ) x GROUP BY hour, bin
) b GROUP BY hour
"""  # noqa: S608 - made from our own constants
_COUNT_DAY = """
INSERT INTO execution_days (agent, day, executions, timed, duration_sum, histogram)
SELECT $1, $2, sum(executions), sum(timed), sum(duration_sum), sum(histogram)
FROM execution_hours
WHERE agent = $1 AND hour >= $2 AND hour < $2::timestamptz + interval '24 hours'
"""
_SET_UNTIL = """
INSERT INTO execution_days_until AS k (agent, until) VALUES ($1, $2)
ON CONFLICT (agent) DO UPDATE SET until = excluded.until
"""


async def behind(connection: Connection, until: datetime) -> list[str]:
    """The names with days before ``until``, a midnight (UTC), that are not counted."""
    return [row["agent"] for row in await connection.fetch(_BEHIND, until)]


async def count_next(connection: Connection, agent: str, until: datetime) -> bool:
    """Count a name's next day before ``until``, with its hours; False when there is none left. To
    be called in a READ COMMITTED transaction, which holds up flushes of the name's figures until
    it ends.
    """
    await connection.execute(LOCK_FIGURES, locks.names([agent]))
    # New statements from here on: they see what the flushes before us committed.
    known = await connection.fetchval(_UNTIL, agent)
    if known is not None and known >= until:
        return False
    day = await connection.fetchval(_FIRST, agent, known, until)
    for statement in _FORGET:
        await connection.execute(statement, agent, known)
    if day is None:
        await connection.execute(_SET_UNTIL, agent, until)
        return False
    await connection.execute(_COUNT_HOURS, agent, day)
    await connection.execute(_COUNT_DAY, agent, day)
    await connection.execute(_SET_UNTIL, agent, day + timedelta(days=1))
    return True
