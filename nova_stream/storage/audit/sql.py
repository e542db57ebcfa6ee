"""The comparison of the caches with a recount, and the repair of partials and caches, by name."""

from __future__ import annotations

from nova_stream.storage.apply.figures_sql import BUILD_FIGURES, NAME_FIGURES
from nova_stream.storage.stats.histogram import BIN, OF_BIN

#: The partials' row that makes up for what is wrong in the others. No topic of Kafka can be called
#: so; no worker's table holds it.
REPAIR_TOPIC = "(repair)"

# -- the comparison ------------------------------------------------------------------------------

#: A recount of millions of rows may take longer than a session of the stream may hold a
#: transaction; a reader's snapshot holds no lock of the stream.
NO_TIME_LIMIT = "SET transaction_timeout = 0"

COUNT_AGENTS = "SELECT count(*) FROM agents WHERE deleted_at IS NULL"

AGENT_CACHE_FIGURES = (
    "agent_name",
    "role",
    "total_tasks",
    "completed_tasks",
    "failed_tasks",
    "success_rate",
    "avg_duration",
    "last_active",
    "current_status",
)
#: With what they come from.
AGENT_CACHE_COLUMNS = (*AGENT_CACHE_FIGURES, "running_tasks", "executions", "duration_sum")
BUILD_CACHE_FIGURES = (
    "total_builds",
    "completed_builds",
    "failed_builds",
    "running_builds",
    "success_rate",
    "avg_duration_ms",
    "last_build_time",
)


def _row(alias: str, figures: tuple[str, ...]) -> str:
    return f"({', '.join(f'{alias}.{figure}' for figure in figures)})"


def _differing(row: str, join: str, figures: tuple[str, ...]) -> str:
    # Made from our own constants, never from input.
    return f"""
SELECT {row} AS row, to_jsonb(c)::text AS cache, to_jsonb(r)::text AS recount
FROM {join}
WHERE {_row("c", figures)} IS DISTINCT FROM {_row("r", figures)}
ORDER BY 1"""  # noqa: S608


#: Rows whose cache is not the recount, each side as JSON (null where it has no row).
AGENT_DIFFERENCES = _differing(
    "coalesce(c.agent_id, r.agent_id)",
    "agent_stats_cache c FULL JOIN agent_stats_recount r ON r.agent_id = c.agent_id",
    AGENT_CACHE_COLUMNS,
)
BUILD_DIFFERENCES = _differing(
    "'builds'",
    "(SELECT 1 AS one, * FROM build_stats_recount) r "
    "FULL JOIN (SELECT 1 AS one, * FROM build_stats_cache) c ON c.one = r.one",
    BUILD_CACHE_FIGURES,
)

_COUNTS = ("executions", "timed", "duration_sum")
DAY_FIGURES = (*_COUNTS, "histogram")
_DAY = "executions, timed, duration_sum, histogram"


_FORMS = {"day": "YYYY-MM-DD", "hour": 'YYYY-MM-DD"T"HH24:MI"Z"'}


def _miscounted(unit: str, title: str, figures: tuple[str, ...], found: str, recount: str) -> str:
    """As AGENT_DIFFERENCES, of executions that are counted already: nobody reads what is counted
    from ``until`` on. Histograms, which have thousands of digits, are told by their hashes.
    """
    sides = ", ".join(
        f"CASE WHEN {table}.executions IS NOT NULL THEN jsonb_build_object("
        + ", ".join(
            f"'{figure}', "
            + (f"md5({table}.{figure}::text)" if figure == "histogram" else f"{table}.{figure}")
            for figure in figures
        )
        + f")::text END AS {side}"
        for table, side in (("f", "cache"), ("c", "recount"))
    )
    return f"""
WITH found AS ({found}), counted AS ({recount})
SELECT format(
    'executions of %s {title}', agent, to_char({unit} AT TIME ZONE 'UTC', '{_FORMS[unit]}')
) AS row, {sides}
FROM found f FULL JOIN counted c USING (agent, {unit})
WHERE {_row("f", figures)} IS DISTINCT FROM {_row("c", figures)}
ORDER BY agent, {unit}"""  # noqa: S608 - made from our own constants


def _kept(unit: str) -> str:
    return f"""
    SELECT x.agent, x.{unit}, {_DAY} FROM execution_{unit}s x
    JOIN execution_days_until k ON k.agent = x.agent AND x.{unit} < k.until
"""  # noqa: S608 - made from our own constants


def _recounted(unit: str, figures: str) -> str:
    return f"""
    SELECT agent, date_trunc('{unit}', timestamp, 'UTC') AS {unit}, {figures}
    FROM executions e JOIN execution_days_until k USING (agent) WHERE timestamp < k.until
"""  # noqa: S608 - made from our own constants


_COUNT = """count(*) AS executions, count(duration) AS timed,
        coalesce(sum(duration), 0) AS duration_sum"""
DAY_DIFFERENCES = _miscounted(
    "day",
    "on %s",
    DAY_FIGURES,
    _kept("day"),
    f"""
    SELECT agent, day, sum(executions)::bigint AS executions, sum(timed)::bigint AS timed,
        sum(duration_sum) AS duration_sum, sum({OF_BIN}) AS histogram
    FROM (
        SELECT agent, day, bin, {_COUNT}
        FROM ({_recounted("day", f"duration, {BIN} AS bin")}) r GROUP BY agent, day, bin
    ) b GROUP BY agent, day
""",  # noqa: S608 - made from our own constants
)
#: Hours are counted anew but for their histograms: those add up to their day's, which is.
HOUR_DIFFERENCES = _miscounted(
    "hour",
    "at %s",
    _COUNTS,
    _kept("hour"),
    f"SELECT agent, hour, {_COUNT} FROM ({_recounted('hour', 'duration')}) r GROUP BY agent, hour",  # noqa: S608
)
HISTOGRAM_DIFFERENCES = _miscounted(
    "day",
    "by hours on %s",
    ("histogram",),
    f"""
    SELECT agent, date_trunc('day', hour, 'UTC') AS day, sum(executions) AS executions,
        sum(histogram) AS histogram
    FROM ({_kept("hour")}) h GROUP BY 1, 2
""",  # noqa: S608 - made from our own constants
    _kept("day"),
)
#: What is wrong of days and of hours that are counted already, and the figures that may differ.
MISCOUNTED = (
    (DAY_DIFFERENCES, DAY_FIGURES),
    (HOUR_DIFFERENCES, _COUNTS),
    (HISTOGRAM_DIFFERENCES, ("histogram",)),
)

# -- the recount -----------------------------------------------------------------------------------

# Tombstones have no agent, everything else has one: an index alone answers for the executions.
RECOUNT_NAMES = """
SELECT agent, coalesce(t.total_tasks, 0) AS total_tasks,
    coalesce(t.completed_tasks, 0) AS completed_tasks, coalesce(t.failed_tasks, 0) AS failed_tasks,
    coalesce(t.running_tasks, 0) AS running_tasks, coalesce(t.active_tasks, 0) AS active_tasks,
    coalesce(e.executions, 0) AS executions, coalesce(e.duration_sum, 0) AS duration_sum, e.newest
FROM (
    SELECT agent, count(*) AS total_tasks,
        count(*) FILTER (WHERE status = 'done') AS completed_tasks,
        count(*) FILTER (WHERE status = 'failed') AS failed_tasks,
        count(*) FILTER (WHERE status = 'running') AS running_tasks,
        count(*) FILTER (WHERE status IN ('pending', 'ready', 'running')) AS active_tasks
    FROM tasks WHERE agent IS NOT NULL GROUP BY agent
) t FULL JOIN (
    SELECT agent, count(duration) AS executions, sum(duration) AS duration_sum,
        max(timestamp) AS newest
    FROM executions WHERE agent IS NOT NULL GROUP BY agent
) e USING (agent)
"""

SUM_NAMES = f"""
SELECT agent, {", ".join(f"sum({f}) AS {f}" for f in NAME_FIGURES)}
FROM agent_stats_partials GROUP BY agent
"""  # noqa: S608 - made from our own constants

RECOUNT_BUILDS = """
SELECT count(*) AS total_builds,
    count(*) FILTER (WHERE status = 'completed') AS completed_builds,
    count(*) FILTER (WHERE status = 'failed') AS failed_builds,
    count(*) FILTER (WHERE status = 'running') AS running_builds,
    count(completed_at - started_at) FILTER (WHERE status = 'completed') AS timed_builds,
    coalesce(sum(extract(epoch FROM completed_at - started_at) * 1000)
        FILTER (WHERE status = 'completed'), 0) AS duration_sum_ms,
    max(completed_at) AS newest
FROM builds WHERE deleted_at IS NULL
"""

SUM_BUILDS = f"""
SELECT {", ".join(f"coalesce(sum({f}), 0) AS {f}" for f in BUILD_FIGURES)}
FROM build_stats_partials
"""  # noqa: S608 - made from our own constants

AGENTS = "SELECT id, name, role, created_at FROM agents WHERE deleted_at IS NULL"
AGENT_CACHE = f"SELECT agent_id, {', '.join(AGENT_CACHE_COLUMNS)} FROM agent_stats_cache"  # noqa: S608 - made from our own constants
BUILD_CACHE = f"SELECT {', '.join(BUILD_CACHE_FIGURES)} FROM build_stats_cache"  # noqa: S608 - made from our own constants

# -- the repair ------------------------------------------------------------------------------------

LOCK_ALL_POSITIONS = """
SELECT count(*) FROM (
    SELECT FROM stream_positions ORDER BY topic, partition FOR UPDATE) AS locked
"""
RAISE_EPOCHS = "UPDATE stream_positions SET epoch = epoch + 1"


def _correct(recount: str, sums: str, table: str, key: str, figures: tuple[str, ...]) -> str:
    """Adds what the partials lack, counted and summed in one snapshot: right even beside a flush
    that the locks do not hold, since that one adds to both sides alike.
    """
    columns = f"agent, {', '.join(figures)}" if key else ", ".join(figures)
    join = "FULL JOIN s USING (agent)" if key else "CROSS JOIN s"
    missing = [f"coalesce(r.{f}, 0) - coalesce(s.{f}, 0)" for f in figures]
    return f"""
WITH r AS ({recount}), s AS ({sums})
INSERT INTO {table} AS p (topic, partition, {columns})
SELECT '{REPAIR_TOPIC}', 0, {key}{", ".join(missing)}
FROM r {join}
WHERE ({", ".join(missing)}) IS DISTINCT FROM ({", ".join("0" for _ in figures)})
ON CONFLICT ({key}topic, partition) DO UPDATE SET
    {", ".join(f"{f} = p.{f} + excluded.{f}" for f in figures)}
"""  # noqa: S608 - made from our own constants


CORRECT_NAMES = _correct(RECOUNT_NAMES, SUM_NAMES, "agent_stats_partials", "agent, ", NAME_FIGURES)
CORRECT_BUILDS = _correct(RECOUNT_BUILDS, SUM_BUILDS, "build_stats_partials", "", BUILD_FIGURES)

DROP_STRAY_AGENTS = """
DELETE FROM agent_stats_cache c
WHERE NOT EXISTS (SELECT FROM agents a WHERE a.id = c.agent_id AND a.deleted_at IS NULL)
"""
#: What was wrong may be in days that are counted.
OPEN_ALL_DAYS = "DELETE FROM execution_days_until"
ALL_NAMES = "SELECT array_agg(DISTINCT name) FROM agents WHERE deleted_at IS NULL"
ENSURE_BUILD_CACHE = """
INSERT INTO build_stats_cache VALUES (1, 0, 0, 0, 0, 0, 0, NULL, now()) ON CONFLICT DO NOTHING
"""

# -- the confirmation ------------------------------------------------------------------------------

#: Confirms a batch: $1 the time, $2 the last id of the batch before, $3 rows. What a flush has
#: locked at this moment it is writing anew, with a time of its own.
CONFIRM_AGENTS = """
WITH candidate AS MATERIALIZED (
    SELECT agent_id FROM agent_stats_cache WHERE agent_id > $2 ORDER BY agent_id LIMIT $3
), locked AS MATERIALIZED (
    SELECT c.agent_id FROM agent_stats_cache c
    WHERE c.agent_id = ANY (ARRAY(SELECT agent_id FROM candidate))
    ORDER BY c.agent_id COLLATE "C" FOR UPDATE SKIP LOCKED
), confirmed AS (
    UPDATE agent_stats_cache c SET cached_at = $1 FROM locked
    WHERE c.agent_id = locked.agent_id RETURNING c.agent_id
)
SELECT (SELECT count(*) FROM confirmed) AS confirmed, (SELECT count(*) FROM candidate) AS seen,
    (SELECT max(agent_id) FROM candidate) AS last
"""
CONFIRM_BUILDS = """
UPDATE build_stats_cache SET cached_at = $1
WHERE id IN (SELECT id FROM build_stats_cache FOR UPDATE SKIP LOCKED)
"""

REMEMBER_BUILDS = """
INSERT INTO build_stats_history AS h (taken_at, total_builds, completed_builds, failed_builds,
    running_builds, success_rate, avg_duration_ms, drift, run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (taken_at) DO UPDATE SET
    total_builds = excluded.total_builds, completed_builds = excluded.completed_builds,
    failed_builds = excluded.failed_builds, running_builds = excluded.running_builds,
    success_rate = excluded.success_rate, avg_duration_ms = excluded.avg_duration_ms,
    drift = h.drift + excluded.drift, run_id = excluded.run_id
"""
