"""Values at the edge of what Postgres and doubles hold change nothing but themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from nova_stream.events.change import Entity
from tests.integration.storage.chunks import value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

YEAR_1 = "0001-01-01T00:00:00.000Z"
YEAR_9999 = "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize("duration", ["1e-1000", "1e-320", "4.9e-324"])
async def test_a_duration_finer_than_every_double_does_not_stop_its_agent(
    desk: Desk, duration: str
) -> None:
    fine = {"id": "e1", "agent": "MARS", "duration": Decimal(duration)}
    another = {**fine, "id": "e2"}
    await desk.put(Entity.EXECUTIONS, value_of(fine, seq=1), value_of(another, seq=1))
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    await desk.put(
        Entity.EXECUTIONS,
        value_of({"id": "e3", "agent": "MARS", "duration": 7}, seq=1),
        value_of({"id": "e4", "agent": "MARS", "duration": 8}, seq=1),
    )
    assert (await desk.cached("MARS"))["avg_duration"] == 4
    for number in (3, 4):
        await desk.put(Entity.EXECUTIONS, value_of(None, before={"id": f"e{number}"}, seq=2))
    assert (await desk.cached("MARS"))["avg_duration"] == 0


async def test_durations_of_every_size_are_summed_exactly(desk: Desk) -> None:
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    sizes = [Decimal("1e300"), Decimal("1e-300"), Decimal("0.1"), Decimal("2.4"), 0]
    values = [
        value_of({"id": f"e{n}", "agent": "MARS", "duration": size}, seq=1)
        for n, size in enumerate(sizes)
    ]
    await desk.put(Entity.EXECUTIONS, *values)
    assert (await desk.cached("MARS"))["avg_duration"] == 2e299
    await desk.put(Entity.EXECUTIONS, value_of(None, before={"id": "e0"}, seq=2))
    assert (await desk.cached("MARS"))["avg_duration"] == 1


async def test_the_first_and_the_last_instant_are_times_like_others(desk: Desk) -> None:
    born = {"id": "a", "name": "MARS", "createdAt": YEAR_1}
    ran = {"id": "e", "agent": "MARS", "duration": 1, "timestamp": YEAR_9999}
    await desk.put(Entity.AGENTS, value_of(born, seq=1))
    assert (await desk.cached("MARS"))["last_active"] == datetime(1, 1, 1, tzinfo=UTC)
    await desk.put(Entity.EXECUTIONS, value_of(ran, seq=1))
    assert (await desk.cached("MARS"))["last_active"] == datetime(
        9999, 12, 31, 23, 59, 59, 999000, UTC
    )
    texts = await desk.connection.fetchval("SELECT created_at::text FROM agents")
    assert texts == "0001-01-01 00:00:00+00"


async def test_builds_from_the_first_instant_on_have_a_finite_duration(desk: Desk) -> None:
    ages = {"status": "completed", "startedAt": YEAR_1, "completedAt": YEAR_9999}
    second = {
        "status": "completed",
        "startedAt": "2026-02-20T12:00:00Z",
        "completedAt": "2026-02-20T12:00:01Z",
    }
    await desk.put(
        Entity.BUILDS,
        value_of({"id": "b1", **ages}, seq=1),
        value_of({"id": "b2", **second}, seq=1),
    )
    assert (await desk.builds())["avg_duration_ms"] == 157_768_948_800_500
    await desk.put(Entity.BUILDS, value_of(None, before={"id": "b1"}, seq=2, ts_ms=-62135596800000))
    assert (await desk.builds())["avg_duration_ms"] == 1000
    assert (await desk.row(Entity.BUILDS, "b1"))["deleted_at"] == datetime(1, 1, 1, tzinfo=UTC)


async def test_a_build_that_ends_before_it_starts_counts_as_it_is(desk: Desk) -> None:
    back = {
        "status": "completed",
        "startedAt": "2026-02-20T12:00:00.005Z",
        "completedAt": "2026-02-20T12:00:00Z",
    }
    await desk.put(
        Entity.BUILDS,
        value_of({"id": "b1", **back}, seq=1),
        value_of({"id": "b2", **back, "completedAt": None}, seq=1),
    )
    assert (await desk.builds())["avg_duration_ms"] == -5


async def test_the_longest_ids_and_names_fit_into_every_index(desk: Desk) -> None:
    long = "".join(chr(0x4E00 + n) for n in range(341))  # 1,023 bytes that do not compress
    await desk.put(
        Entity.TASKS,
        value_of(
            {"id": long, "agent": long, "buildId": long, "taskId": long, "status": "done"}, seq=1
        ),
    )
    run = {"id": long, "agent": long, "taskId": long, "duration": 1}
    await desk.put(Entity.EXECUTIONS, value_of(run, seq=1))
    await desk.put(Entity.AGENTS, value_of({"id": long, "name": long, "role": "r" * 10**6}, seq=1))
    assert (await desk.cached(long))["total_tasks"] == 1


@pytest.mark.parametrize("name", ["", " ", "'; DROP TABLE tasks; --", "\u202e", "\U0001f680", "\\"])
async def test_any_text_is_a_name(desk: Desk, name: str) -> None:
    await desk.put(Entity.TASKS, value_of({"id": "t", "agent": name, "status": "done"}, seq=1))
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": name}, seq=1))
    assert (await desk.cached(name))["completed_tasks"] == 1
