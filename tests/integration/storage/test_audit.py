"""The audit finds nothing where the stream wrote, and every figure that somebody else changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from typing import Any

import pytest

from nova_stream.errors import SchemaVersionError
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.audit.audit import AuditReport, Difference, audit
from nova_stream.storage.database import connect

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

LINES: list[dict[str, Any]] = [
    {"entity": "agents", "after": {"id": "a1", "name": "MARS", "role": "plan"}},
    {"entity": "agents", "after": {"id": "a2", "name": "VENUS"}},
    {"entity": "tasks", "after": {"id": "t1", "agent": "MARS", "status": "done"}},
    {"entity": "tasks", "after": {"id": "t22", "agent": "MARS", "status": "failed"}},
    {"entity": "tasks", "after": {"id": "t3", "agent": "NOBODY", "status": "running"}},
    {
        "entity": "executions",
        "after": {
            "id": "e1",
            "agent": "MARS",
            "duration": 12.5,
            "timestamp": "2026-02-20T12:00:00.123Z",
        },
    },
    {
        "entity": "builds",
        "after": {
            "id": "b1",
            "status": "completed",
            "startedAt": "2026-02-20T12:00:00.000Z",
            "completedAt": "2026-02-20T12:00:10.000Z",
        },
    },
]


async def corrupt(settings: Settings, statement: str) -> AuditReport:
    connection = await connect(settings, "test")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
    return await audit(settings)


async def test_nothing_differs(nova_settings: Settings, apply_lines: ApplyLines) -> None:
    assert await audit(nova_settings) == AuditReport(agents=0, differences=[])
    await apply_lines(LINES)
    assert await audit(nova_settings) == AuditReport(agents=2, differences=[])


async def test_changed_figures_are_named(nova_settings: Settings, apply_lines: ApplyLines) -> None:
    await apply_lines(LINES)
    report = await corrupt(
        nova_settings,
        "UPDATE agent_stats_cache SET total_tasks = 9, last_active = NULL, success_rate = 50.01 "
        "WHERE agent_id = 'a1'; UPDATE build_stats_cache SET avg_duration_ms = 9999",
    )
    assert report.differences == [
        Difference("a1", "total_tasks", 9, 2),
        Difference("a1", "success_rate", 50.01, 50),
        Difference("a1", "last_active", None, "2026-02-20T12:00:00.123Z"),
        Difference("builds", "avg_duration_ms", 9999, 10000),
    ]


async def test_times_finer_than_written_are_found(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await apply_lines(LINES)
    report = await corrupt(
        nova_settings,
        "UPDATE agent_stats_cache SET last_active = last_active + interval '1 microsecond' "
        "WHERE agent_id = 'a1'; UPDATE build_stats_cache SET last_build_time = 'infinity'",
    )
    assert report.differences == [
        Difference(
            "a1", "last_active", "2026-02-20T12:00:00.123001+00:00", "2026-02-20T12:00:00.123Z"
        ),
        Difference("builds", "last_build_time", "infinity", "2026-02-20T12:00:10.000Z"),
    ]


async def test_a_sum_that_differs_by_less_than_a_double_can_tell(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await apply_lines(LINES)
    million = 10**15
    report = await corrupt(
        nova_settings,
        f"UPDATE executions SET duration = {million} WHERE agent = 'MARS'; "
        f"UPDATE agent_stats_cache SET duration_sum = {million}.001, avg_duration = {million} "
        "WHERE agent_name = 'MARS'",
    )
    (found,) = [d for d in report.differences if d.figure == "duration_sum"]
    assert (found.cache, found.recount) == (f"{million}.001", million)


async def test_a_migrated_cache_has_the_sums_of_its_figures(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await apply_lines(LINES)
    zeros = "UPDATE agent_stats_cache SET running_tasks = 0, executions = 0, duration_sum = 0"
    assert (await corrupt(nova_settings, zeros)).differences != []
    migration = import_module("nova_stream.storage.migrations.versions.0024_sums_in_the_cache")
    assert (await corrupt(nova_settings, migration.FILL)).differences == []


async def test_a_row_that_somebody_wrote_by_hand_stops_nothing(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await apply_lines(LINES)
    await corrupt(nova_settings, "UPDATE agent_stats_cache SET executions = 0, duration_sum = 0")
    longer = LINES[5]["after"] | {"duration": 20}
    await apply_lines([{"entity": "executions", "op": "u", "seq": 10, "after": longer}])
    assert {d.figure for d in (await audit(nova_settings)).differences} <= {
        "executions",
        "duration_sum",
        "avg_duration",
    }


async def test_rows_that_are_missing_or_too_many(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await apply_lines(LINES)
    report = await corrupt(
        nova_settings,
        "DELETE FROM build_stats_cache; "
        "UPDATE agent_stats_cache SET agent_id = 'ghost' WHERE agent_id = 'a2'",
    )
    missing, extra, builds = report.differences
    assert (missing.row, missing.figure, missing.cache) == ("a2", "row", None)
    assert missing.recount["agent_name"] == "VENUS"
    assert (extra.row, extra.figure, extra.recount) == ("ghost", "row", None)
    assert (builds.row, builds.figure, builds.cache) == ("builds", "row", None)


async def test_a_changed_document_is_found(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await apply_lines(LINES)
    report = await corrupt(nova_settings, "UPDATE tasks SET status = 'running' WHERE id = 't1'")
    assert [d.figure for d in report.differences] == [
        "completed_tasks",
        "success_rate",
        "current_status",
        "running_tasks",
    ]


async def test_a_database_without_tables_is_a_clear_error(nova_database: str) -> None:
    with pytest.raises(SchemaVersionError, match="nova-stream migrate"):
        await audit(load_settings(database_url=nova_database))
