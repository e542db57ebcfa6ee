"""The figures of engagement, as the last run of summarizeEngagement counted them."""

from __future__ import annotations

from datetime import date

from nova_stream.events.times import time_text
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.stats.engagement_rows import (
    ChurnMonth,
    CohortWeek,
    Engagement,
    EngagementDay,
)
from nova_stream.storage.stats.read import shown

#: Of those that begin from $1 on and before $2.
_DAYS = """
SELECT day::text, dau, wau, mau, new_users, returning_users, returned FROM engagement_daily
WHERE day >= $1 AND day < $2 ORDER BY day
"""
_RETENTION = """
SELECT cohort_week::text, week, users, retained FROM engagement_retention
WHERE cohort_week >= $1 AND cohort_week + 7 * week < $2 ORDER BY cohort_week, week
"""
_CHURN = """
SELECT month::text, active, active_before, churned, rate FROM engagement_churn
WHERE month >= $1 AND month < $2 ORDER BY month
"""
_NOW = """
SELECT (SELECT count(*) FROM inactive_users) AS inactive,
    (SELECT counted_at FROM engagement_days LIMIT 1) AS counted_at
"""


async def engagement(connection: Connection, start: date, end: date) -> Engagement:
    """The days, weeks and months that begin from ``start`` on and before ``end``; cohorts as far
    as the weeks after them do, too.

    Needs a connection that is in no transaction. Raises what asyncpg raises.
    """
    async with snapshot(connection):
        days = await connection.fetch(_DAYS, start, end)
        retention = await connection.fetch(_RETENTION, start, end)
        churn = await connection.fetch(_CHURN, start, end)
        now = await connection.fetchrow(_NOW)
    assert now is not None
    return Engagement(
        days=[EngagementDay(**row) for row in days],
        retention=[CohortWeek(**row) for row in retention],
        churn=[ChurnMonth(**{**row, "rate": shown(row["rate"])}) for row in churn],
        inactive_users=now["inactive"],
        counted_at=None if now["counted_at"] is None else time_text(now["counted_at"]),
    )
