"""The statements that count what was done in a range of time ($1 from, $2 to), by name."""

from __future__ import annotations

from typing import NamedTuple

from nova_stream.storage.places import Side
from nova_stream.storage.stats.buckets import UNITS, Unit
from nova_stream.storage.stats.histogram import BIN, OF_BIN, SENT
from nova_stream.storage.stats.sql import UNREGISTERED

_NAMES = f"""
SELECT agent_id, agent_name, role, agent_id IS NOT NULL AS registered
FROM (
    SELECT agent_id, agent_name, role FROM agent_stats_cache
    UNION ALL
    SELECT NULL, u.agent_name, NULL FROM ({UNREGISTERED}) u WHERE $1
) n"""  # noqa: S608 - made from our own constants
_ID = "coalesce(agent_id, '') COLLATE \"C\""


def _names(comparison: str, turn: str) -> str:
    return f"""{_NAMES}
WHERE $2::text IS NULL OR (agent_name COLLATE "C", {_ID}) {comparison} ($2::text, $3::text)
ORDER BY agent_name COLLATE "C" {turn}, {_ID} {turn} LIMIT $4"""


#: Names, those of registered agents and with $1 all others that something counts under, by the side
#: of the place ($2 name, $3 id; null: all) that they are on, at most $4.
NAMES: dict[Side, str] = {
    "<": _names(">", "ASC"),
    "<=": _names(">=", "ASC"),
    ">": _names("<", "DESC"),
    ">=": _names("<=", "DESC"),
}

_PERCENTILES = "percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY {0}) AS percentiles"


def _ended(view: str, good: str, more: str, keys: str, condition: str) -> str:
    return f"""
SELECT {keys.format("finished_at")} AS key, count(*) FILTER (WHERE status = '{good}') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed{more}
FROM {view} WHERE finished_at >= $1 AND finished_at < $2 {condition}
GROUP BY """  # noqa: S608 - made from our own constants


def _tasks(keys: str, condition: str = "") -> str:
    return _ended("finished_tasks", "done", "", keys, condition)


def _executions(keys: str, condition: str = "") -> str:
    return f"""
SELECT {keys.format("executed_at")} AS key, count(*) AS executions, count(duration) AS timed,
    sum(duration) AS duration_sum, {_PERCENTILES.format("duration")}
FROM timed_executions WHERE executed_at >= $1 AND executed_at < $2 {condition}
GROUP BY """  # noqa: S608 - made from our own constants


def _builds(keys: str) -> str:
    durations = f""", count(duration_ms) AS timed, sum(duration_ms) AS duration_sum,
    {_PERCENTILES.format("duration_ms")}"""
    return _ended("finished_builds", "completed", durations, keys, "")


_COUNTS = "executions, timed, duration_sum, histogram"


def _names_open(condition: str, start: str, end: str) -> str:
    """Names, and since when within a range what they did is not counted."""
    return f"""
    SELECT p.agent, least(greatest(k.until, {start}), {end}) AS open
    FROM (SELECT DISTINCT agent FROM agent_stats_partials {condition}) p
    LEFT JOIN execution_days_until k ON k.agent = p.agent
"""  # noqa: S608 - made from our own constants


def _open_counted(key: str) -> str:
    """The rows of ``open``, counted by ``key``."""
    return f"""
    SELECT {key}, executions, timed, duration_sum, {OF_BIN} AS histogram
    FROM (
        SELECT {key}, bin, count(*) AS executions, count(duration) AS timed,
            sum(duration) AS duration_sum
        FROM open GROUP BY {key}, bin
    ) o
"""  # noqa: S608 - made from our own constants


def _counted(condition: str, found: str) -> str:
    return f"""
WITH names AS MATERIALIZED ({_names_open(condition, "$3", "$4")}), open AS (
    SELECT n.agent, x.duration, {BIN} AS bin
    FROM names n CROSS JOIN LATERAL (
        SELECT duration FROM executions
        WHERE agent = n.agent AND timestamp >= $1 AND timestamp < $3
        UNION ALL
        SELECT duration FROM executions
        WHERE agent = n.agent AND timestamp >= n.open AND timestamp < $2
    ) x
), parts AS ({_open_counted("agent")}
    UNION ALL
    SELECT d.agent, d.executions, d.timed, d.duration_sum, d.histogram
    FROM names n JOIN execution_days d ON d.agent = n.agent AND d.day >= $3 AND d.day < n.open
), counted AS MATERIALIZED (
    SELECT agent AS key, sum(executions)::bigint AS executions, sum(timed)::bigint AS timed,
        coalesce(sum(duration_sum), 0) AS duration_sum, sum(histogram) AS histogram
    FROM parts GROUP BY agent
)
{found}"""  # noqa: S608 - made from our own constants


def _counted_buckets(unit: Unit, condition: str) -> str:
    # OFFSET 0 has each piece looked up: joined, all that a name has is held to every piece.
    # ORDER BY has the buckets added up one after the other: each has 16 kB of memory until it is.
    return f"""
WITH names AS MATERIALIZED ({_names_open(condition, "$1", "$2")}), open AS (
    SELECT width_bucket(x.timestamp, $3::timestamptz[]) AS key, x.duration, {BIN} AS bin
    FROM names n CROSS JOIN LATERAL (
        SELECT e.timestamp, e.duration
        FROM unnest($6::timestamptz[], $7::timestamptz[]) AS r (start, "end") CROSS JOIN LATERAL (
            SELECT timestamp, duration FROM executions
            WHERE agent = n.agent AND timestamp >= r.start AND timestamp < least(r."end", n.open)
            OFFSET 0
        ) e
        UNION ALL
        SELECT timestamp, duration FROM executions
        WHERE agent = n.agent AND timestamp >= n.open AND timestamp < $2
    ) x
), parts AS ({_open_counted("key")}
    UNION ALL
    SELECT width_bucket(c.{unit}, $3::timestamptz[]), {_COUNTS}
    FROM names n CROSS JOIN unnest($4::timestamptz[], $5::timestamptz[]) AS w (start, "end")
    CROSS JOIN LATERAL (
        SELECT {unit}, {_COUNTS} FROM execution_{unit}s
        WHERE agent = n.agent AND {unit} >= w.start AND {unit} < least(w."end", n.open)
        OFFSET 0
    ) c
)
SELECT key, sum(executions)::bigint AS executions, sum(timed)::bigint AS timed,
    coalesce(sum(duration_sum), 0) AS duration_sum, {SENT.format("sum(histogram)")} AS histogram
FROM (SELECT * FROM parts ORDER BY key) p
GROUP BY key"""  # noqa: S608 - made from our own constants


_COUNTED = f"""
SELECT key, executions, timed, duration_sum, {SENT.format("histogram")} AS histogram
FROM counted"""  # noqa: S608 - made from our own constants
_ALL_COUNTED = f"""
UNION ALL
SELECT NULL, sum(executions)::bigint, sum(timed)::bigint, sum(duration_sum),
    {SENT.format("sum(histogram)")}
FROM counted HAVING count(*) > 0"""  # noqa: S608 - made from our own constants


_ALL, _ONE, _BUCKET = "agent_name", "''", "width_bucket({0}, $3::timestamptz[])"
_EACH_AND_ALL = """GROUPING SETS ((agent_name), ())
HAVING grouping(agent_name) = 1 OR agent_name = ANY ($3::text[])"""
_NAMED = "AND agent_name = $3"

#: (tasks, executions), of each of the names $3, and with the key null of all that there are.
AGENTS = (_tasks(_ALL) + _EACH_AND_ALL, _executions(_ALL) + _EACH_AND_ALL)
#: Of the name $3.
AGENT = (_tasks(_ONE, _NAMED) + "()", _executions(_ONE, _NAMED) + "()")
#: Executions of ranges that have whole days, from $3 to before $4: those that are counted already
#: and the rows of all other times. As AGENTS with the names $5, and of the name $5.
LONG_AGENTS = _counted("", f"{_COUNTED} WHERE key = ANY ($5::text[]){_ALL_COUNTED}")
LONG_AGENT = _counted("WHERE agent = $5", _COUNTED)
#: Executions alone: of every name there is, and of the name $3; the latter by its name, too.
EXECUTIONS = _executions(_ALL) + "agent_name"
LONG_EXECUTIONS = _counted("", _COUNTED)
EXECUTIONS_OF = _executions(_ALL, _NAMED) + "agent_name"


class Series(NamedTuple):
    """By the number of the bucket, of those that begin at $3.

    ``counted`` are executions of ranges that have whole units, from each of $4 to before $5: those
    that are counted already, and the rows of all other times, which lie from $6 to before $7.
    """

    tasks: str
    executions: str
    counted: dict[Unit, str]


def _series(condition: str, counted: str) -> Series:
    return Series(
        _tasks(_BUCKET, condition) + "1",
        _executions(_BUCKET, condition) + "1",
        {unit: _counted_buckets(unit, counted) for unit in UNITS},
    )


#: Of all names; of the name that is the last argument.
SERIES = _series("", "")
AGENT_SERIES = _series("AND agent_name = $4", "WHERE agent = $8")
BUILDS = _builds(_ONE) + "()"
BUILD_BUCKETS = _builds(_BUCKET) + "1"
