"""Every statement of the readers, by name. Times come as the contract writes them."""

from __future__ import annotations

SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# -- audit ---------------------------------------------------------------------------------------

#: A recount of millions of rows may take longer than a session of the stream may hold a
#: transaction; a reader's snapshot holds no lock of the stream.
NO_TIME_LIMIT = "SET transaction_timeout = 0"

COUNT_AGENTS = "SELECT count(*) FROM agents WHERE deleted_at IS NULL"

AGENT_FIGURES = (
    "agent_name", "role", "total_tasks", "completed_tasks", "failed_tasks", "success_rate",
    "avg_duration", "last_active", "current_status",
)  # fmt: skip
BUILD_FIGURES = (
    "total_builds", "completed_builds", "failed_builds", "running_builds", "success_rate",
    "avg_duration_ms", "last_build_time",
)  # fmt: skip


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
    AGENT_FIGURES,
)
BUILD_DIFFERENCES = _differing(
    "'builds'",
    "(SELECT 1 AS one, * FROM build_stats_recount) r "
    "FULL JOIN (SELECT 1 AS one, * FROM build_stats_cache) c ON c.one = r.one",
    BUILD_FIGURES,
)
