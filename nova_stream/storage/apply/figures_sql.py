"""Figures of agents and builds: those that partials have, and the statements of the caches."""

from __future__ import annotations

from nova_stream.storage import locks

#: Figures that the partials have of a name, and of the builds.
NAME_FIGURES = (
    "total_tasks",
    "completed_tasks",
    "failed_tasks",
    "running_tasks",
    "active_tasks",
    "executions",
    "duration_sum",
)
#: Those of them that are in the cache too: what is added to a name's is told as ``added_FIGURE``.
ADDED_BY_TASKS = ("total_tasks", "completed_tasks", "failed_tasks", "running_tasks")
ADDED_BY_EXECUTIONS = ("executions", "duration_sum")
ADDED = ADDED_BY_TASKS + ADDED_BY_EXECUTIONS
BUILD_FIGURES = (
    "total_builds",
    "completed_builds",
    "failed_builds",
    "running_builds",
    "timed_builds",
    "duration_sum_ms",
)


def as_given(figures: tuple[str, ...]) -> str:
    """The figures as the worker gets them: exact decimals as text, as its tables have them."""
    return ", ".join(f"{f}::text AS {f}" if f.startswith("duration") else f for f in figures)


#: Locks the figures of names and of the builds, by numbers of ``locks`` in ascending order.
LOCK_FIGURES = f"""
SELECT pg_advisory_xact_lock({locks.SPACE}, key) FROM unnest($1::int[]) AS key
"""

DROP_AGENTS_FROM_CACHE = """
DELETE FROM agent_stats_cache c USING agents a
WHERE c.agent_id = a.id AND a.id = ANY($1::text[]) AND a.deleted_at IS NOT NULL
"""


def _rate(part: str, whole: str) -> str:
    """A part in percent of the whole, with two decimals."""
    return f"""CASE WHEN {whole} > 0
        THEN floor({part}::float8 / {whole}::float8 * 100::float8 * 100::float8
            + 0.5::float8) / 100::float8
        ELSE 0 END"""


def _agent_figures(figure: str) -> dict[str, str]:
    """What the cache says of an agent, by column, from the figures of its name: ``figure`` is the
    text of one, with ``{f}`` for its column.
    """
    figures = {f: figure.format(f=f) for f in ADDED}
    total, completed, _, running, executions, duration = figures.values()
    return figures | {
        "success_rate": _rate(completed, total),
        # Below 0.1 the mean rounds to 0, and may be no double. Of a row that somebody wrote by hand
        # the sum may be of no executions: that must not stop the stream.
        "avg_duration": f"""CASE WHEN {duration} > 0.1 AND {executions} > 0
        THEN floor({duration}::float8 / {executions}::float8 + 0.5::float8)
        ELSE 0 END""",
        "current_status": f"CASE WHEN {running} > 0 THEN 'active' ELSE 'idle' END",
        "cached_at": "date_trunc('milliseconds', clock_timestamp())",
    }


def _refresh_agents() -> str:
    newest = "(SELECT max(x.timestamp) FROM executions x WHERE x.agent = a.name)"
    columns = {"agent_id": "a.id", "agent_name": "a.name", "role": "a.role"}
    columns |= _agent_figures("coalesce(p.{f}, 0)")
    columns["last_active"] = f"coalesce({newest}, a.created_at)"
    sums = ", ".join(f"sum(s.{f}) AS {f}" for f in ADDED)
    return f"""
INSERT INTO agent_stats_cache AS c ({", ".join(columns)})
SELECT {", ".join(columns.values())}
FROM agents a
CROSS JOIN LATERAL (SELECT {sums} FROM agent_stats_partials s WHERE s.agent = a.name) p
WHERE a.name = ANY($1::text[]) AND a.deleted_at IS NULL
ORDER BY a.id COLLATE "C"
ON CONFLICT (agent_id) DO UPDATE SET
    {", ".join(f"{column} = excluded.{column}" for column in columns if column != "agent_id")}
"""


#: All that the cache says of agents by their names ($1), from the partials.
REFRESH_AGENTS = _refresh_agents()


def _add_to_agents() -> str:
    columns = _agent_figures("(c.{f} + n.{f})")
    # The row has the newest of all that were known: one that is no older is the newest now. Where
    # none is, the newest may be gone.
    columns["last_active"] = """CASE WHEN n.newest >= c.last_active THEN n.newest
        WHEN n.by_executions
        THEN coalesce((SELECT max(x.timestamp) FROM executions x WHERE x.agent = n.agent),
            (SELECT a.created_at FROM agents a WHERE a.id = c.agent_id))
        ELSE c.last_active END"""
    return f"""
UPDATE agent_stats_cache c SET {", ".join(f"{c} = {value}" for c, value in columns.items())}
FROM (
    SELECT agent, {", ".join(f"sum({f}) AS {f}" for f in ADDED)},
        bool_or(by_executions) AS by_executions, max(newest) AS newest
    FROM (
        SELECT unnest($1::text[]) AS agent,
            {", ".join(f"unnest(${n}::int[]) AS {f}" for n, f in enumerate(ADDED_BY_TASKS, 2))},
            0 AS executions, 0::numeric AS duration_sum, false AS by_executions,
            NULL::timestamptz AS newest
        UNION ALL
        SELECT unnest($6::text[]), 0, 0, 0, 0, unnest($7::int[]), unnest($8::numeric[]), true,
            unnest($9::timestamptz[])
    ) added GROUP BY agent
) n
WHERE c.agent_name = n.agent
"""


#: Adds to what the cache says of agents by their names: $1 names and what tasks added to the
#: figures of each, $6 names and what executions added, $9 the newest of those that each has now. A
#: name may come several times. No partials are read, of which a name has one a partition.
ADD_TO_AGENTS = _add_to_agents()

REFRESH_BUILDS = f"""
UPDATE build_stats_cache c SET
    total_builds = p.total, completed_builds = p.completed, failed_builds = p.failed,
    running_builds = p.running,
    success_rate = {_rate("p.completed", "p.total")},
    avg_duration_ms = CASE WHEN p.timed > 0
        THEN floor(p.duration_sum_ms::float8 / p.timed::float8 + 0.5::float8)
        ELSE 0 END,
    last_build_time = (SELECT max(completed_at) FROM builds),
    cached_at = date_trunc('milliseconds', clock_timestamp())
FROM (
    SELECT coalesce(sum(total_builds), 0) AS total, coalesce(sum(completed_builds), 0) AS completed,
        coalesce(sum(failed_builds), 0) AS failed, coalesce(sum(running_builds), 0) AS running,
        coalesce(sum(timed_builds), 0) AS timed,
        coalesce(sum(duration_sum_ms), 0) AS duration_sum_ms
    FROM build_stats_partials
) p
"""

#: Opens counted days of executions ($1 agents, $2 the first time that differs), those after them
#: too; under the agents' locks.
OPEN_DAYS = """
UPDATE execution_days_until k SET until = date_trunc('day', u.touched, 'UTC')
FROM unnest($1::text[], $2::timestamptz[]) AS u (agent, touched)
WHERE k.agent = u.agent AND k.until > u.touched
"""

AGENT_PARTIALS_OF = f"""
SELECT agent, {as_given(NAME_FIGURES)}
FROM agent_stats_partials WHERE topic = $1 AND partition = $2
"""
BUILD_PARTIALS_OF = f"""
SELECT {as_given(BUILD_FIGURES)}
FROM build_stats_partials WHERE topic = $1 AND partition = $2
"""
