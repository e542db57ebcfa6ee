"""computeAgentStats finds every figure that somebody changed behind the stream's back, and repairs
it for good.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from nova_stream.jobs.compute_agent_stats import run_once
from nova_stream.settings import Settings
from nova_stream.storage.audit import repair
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.database import connect
from tests.integration.jobs.work import NOON, ApplyLines, Runs, before

pytestmark = pytest.mark.integration

LINES: list[dict[str, Any]] = [
    {"entity": "agents", "after": {"id": "a1", "name": "MARS", "role": "plan"}},
    {"entity": "agents", "after": {"id": "a2", "name": "VENUS", "createdAt": before(NOON)}},
    {"entity": "agents", "after": {"id": "a3", "name": "MARS"}},
    {"entity": "tasks", "after": {"id": "t1", "agent": "MARS", "status": "done"}},
    {"entity": "tasks", "after": {"id": "t22", "agent": "MARS", "status": "running"}},
    {"entity": "tasks", "after": {"id": "t3", "agent": "NOBODY", "status": "failed"}},
    {
        "entity": "executions",
        "after": {"id": "e1", "agent": "MARS", "taskId": "?", "duration": 1.5},
    },
    {
        "entity": "executions",
        "after": {"id": "e22", "agent": "MARS", "duration": 2, "timestamp": before(NOON, days=1)},
    },
    {"entity": "executions", "after": {"id": "e3", "agent": "PLUTO", "duration": 7}},
]


@pytest.fixture
async def runs(nova_settings: Settings, apply_lines: ApplyLines) -> AsyncIterator[Runs]:
    await apply_lines(LINES)
    found = Runs(nova_settings)
    yield found
    assert (await audit(nova_settings)).differences == []


async def test_without_agents(nova_settings: Settings) -> None:
    assert await Runs(nova_settings).run(run_once) == {
        "computed": 0,
        "timestamp": "2026-02-20T12:00:00.000Z",
        "drift": 0,
        "driftByFigure": {},
        "differences": [],
    }


async def test_what_the_stream_wrote_is_confirmed_and_nothing_else(runs: Runs) -> None:
    positions = "SELECT * FROM stream_positions ORDER BY topic, partition"
    earlier = await runs.fetch(positions)
    found = await runs.run(run_once)
    assert (found["computed"], found["drift"]) == (3, 0)
    assert await cached_at(runs) == {NOON}
    assert await runs.fetch(positions) == earlier


async def test_a_dry_run_reports_and_repairs_nothing(runs: Runs) -> None:
    await runs.execute("UPDATE agent_stats_cache SET total_tasks = 9 WHERE agent_id = 'a1'")
    assert (await runs.run(run_once, dry_run=True))["driftByFigure"] == {"total_tasks": 1}
    assert NOON not in await cached_at(runs)
    assert (await runs.run(run_once))["drift"] == 1


@pytest.mark.parametrize(
    ("statement", "figures"),
    [
        (
            "UPDATE agent_stats_cache SET last_active = now(), success_rate = 1 "
            "WHERE agent_id = 'a2'",
            {"last_active": 1, "success_rate": 1},
        ),
        ("DELETE FROM agent_stats_cache WHERE agent_id = 'a3'", {"row": 1}),
        ("UPDATE agent_stats_cache SET agent_id = 'ghost' WHERE agent_id = 'a2'", {"row": 2}),
        ("DELETE FROM agent_stats_cache", {"row": 3}),
        (
            "UPDATE agent_stats_partials SET duration_sum = duration_sum + 0.25 "
            "WHERE agent = 'PLUTO'",
            {"duration_sum": 1},
        ),
        (
            "UPDATE agent_stats_partials SET active_tasks = 5 WHERE agent = 'NOBODY'",
            {"active_tasks": 1},
        ),
        (
            "INSERT INTO agent_stats_partials (agent, topic, partition, failed_tasks) "
            "VALUES ('STRAY', 'x', 0, 3)",
            {"failed_tasks": 1},
        ),
        (
            "UPDATE executions SET duration = 4 WHERE id = 'e1'",
            {"avg_duration": 2, "duration_sum": 3},
        ),
    ],
)
async def test_every_difference_is_named_and_repaired(
    runs: Runs, statement: str, figures: dict[str, int]
) -> None:
    await runs.execute(statement)
    found = await runs.run(run_once)
    assert found["driftByFigure"] == figures
    assert found["drift"] == sum(figures.values()) == len(found["differences"])
    assert (await runs.run(run_once))["drift"] == 0
    assert await cached_at(runs) == {NOON}


async def test_all_partials_gone_and_the_stream_goes_on(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    epochs = "SELECT min(epoch) FROM stream_positions"
    await runs.execute("DELETE FROM agent_stats_partials")
    assert (await runs.run(run_once))["drift"] > 0
    assert (await runs.fetch(epochs))[0]["min"] == 1
    move = {"id": "t1", "agent": "VENUS", "status": "failed"}
    await apply_lines([{"entity": "tasks", "seq": 9, "after": move}])
    assert (await audit(runs.settings)).differences == []
    assert (await runs.run(run_once))["drift"] == 0


async def test_a_row_that_a_flush_holds_is_left_to_it(runs: Runs) -> None:
    holder = await connect(runs.settings, "holder")
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM agent_stats_cache WHERE agent_id = 'a2' FOR UPDATE")
            assert (await runs.run(run_once))["drift"] == 0
    finally:
        await holder.close()
    assert len(await cached_at(runs)) == 2


@pytest.mark.long
async def test_repairs_beside_the_stream_and_each_other(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    """Corruption, repairs and flushes at once: the end is exact, and nobody deadlocks."""
    dice = random.Random(7)
    done = asyncio.Event()

    async def stream() -> None:
        for seq in range(10, 70):
            await apply_lines(
                [
                    {
                        "entity": "tasks",
                        "seq": seq,
                        "after": {
                            "id": f"t{dice.randrange(12)}",
                            "agent": dice.choice(["MARS", "VENUS", "NOBODY"]),
                            "status": dice.choice(["done", "failed", "running"]),
                        },
                    }
                ]
            )
        done.set()

    async def corrupt_and_repair() -> None:
        while not done.is_set():
            await runs.execute(
                "UPDATE agent_stats_partials SET failed_tasks = failed_tasks + 1 "
                "WHERE agent = 'MARS'"
            )
            await runs.run(run_once)

    await asyncio.gather(stream(), corrupt_and_repair(), corrupt_and_repair())
    await runs.run(run_once)
    assert (await runs.run(run_once))["drift"] == 0


async def test_the_recount_is_one_snapshot(runs: Runs, apply_lines: ApplyLines) -> None:
    """A flush that commits between the statements of a recount is no drift."""
    connection = await connect(runs.settings, "test")
    try:
        stop = asyncio.Event()

        async def stream() -> None:
            for seq in range(10, 60):
                after = {"id": f"t{seq}", "agent": "MARS", "status": "done"}
                await apply_lines([{"entity": "tasks", "seq": seq, "after": after}])
            stop.set()

        async def count() -> None:
            while not stop.is_set():
                assert (await repair.recount_agents(connection)).differences == []

        await asyncio.gather(stream(), count())
    finally:
        await connection.close()


async def cached_at(runs: Runs) -> set[Any]:
    return {row["cached_at"] for row in await runs.fetch("SELECT cached_at FROM agent_stats_cache")}


DAY = "UPDATE execution_days SET {0} WHERE agent = 'MARS'"
HOUR = "UPDATE execution_hours SET {0} WHERE agent = 'MARS'"


@pytest.mark.parametrize(
    ("statement", "figures"),
    [
        (DAY.format("executions = executions + 1"), ["executions"]),
        (DAY.format("timed = 0, duration_sum = 1"), ["timed", "duration_sum"]),
        # The hours of a day are held to the day's histogram.
        (DAY.format("histogram = histogram * 1e9"), ["histogram", "histogram"]),
        (DAY.format("day = day - interval '1 day'"), ["row"] * 4),
        ("DELETE FROM execution_days WHERE agent = 'MARS'", ["row", "row"]),
        (HOUR.format("executions = executions + 1"), ["executions"]),
        (HOUR.format("timed = 0, duration_sum = 1"), ["timed", "duration_sum"]),
        (HOUR.format("histogram = histogram * 1e9"), ["histogram"]),
        (HOUR.format("hour = hour - interval '1 hour'"), ["row", "row"]),
        ("DELETE FROM execution_hours WHERE agent = 'MARS'", ["row", "row"]),
        ("DELETE FROM execution_days_until WHERE agent = 'MARS'", []),  # they are open again
    ],
)
async def test_days_that_are_not_as_counted_are_told_and_counted_anew(
    runs: Runs, nova_settings: Settings, statement: str, figures: list[str]
) -> None:
    await runs.run(run_once)
    counted = "SELECT * FROM execution_days UNION ALL SELECT * FROM execution_hours ORDER BY 1, 2"
    right = await runs.fetch(counted)
    assert right
    assert (await audit(nova_settings)).differences == []
    await runs.execute(statement)
    told = (await audit(nova_settings)).differences
    assert [difference.figure for difference in told] == figures
    place = r"executions of MARS ((by hours )?on 2026-02-1[89]|at 2026-02-19T1[12]:00Z)"
    assert [d.row for d in told if not re.fullmatch(place, d.row)] == []
    found = await runs.run(run_once)
    assert found["drift"] == len(figures)
    assert (await audit(nova_settings)).differences == []
    assert await runs.fetch(counted) == right


async def test_days_that_are_over_are_counted_and_open_again_for_what_comes_late(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    days = "SELECT agent, day, executions, duration_sum FROM execution_days WHERE agent = 'MARS'"
    until = "SELECT until FROM execution_days_until WHERE agent = 'MARS'"
    await runs.run(run_once)
    yesterday = NOON.replace(hour=0) - timedelta(days=1)
    assert [tuple(row.values()) for row in await runs.fetch(days)] == [("MARS", yesterday, 1, 2)]
    assert [row["until"] for row in await runs.fetch(until)] == [NOON.replace(hour=0)]
    late = {"id": "e4", "agent": "MARS", "duration": 5, "timestamp": before(NOON, days=1)}
    await apply_lines([{"entity": "executions", "after": late}])
    assert [row["until"] for row in await runs.fetch(until)] == [yesterday]
    await runs.run(run_once)
    assert [tuple(row.values()) for row in await runs.fetch(days)] == [("MARS", yesterday, 2, 7)]
