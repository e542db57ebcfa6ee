"""refreshBuildStats counts, repairs, confirms, and remembers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nova_stream.jobs.refresh_build_stats import run_once
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from tests.integration.jobs.work import NOON, ApplyLines, Runs, before

pytestmark = pytest.mark.integration

EMPTY = {
    "totalBuilds": 0,
    "completedBuilds": 0,
    "failedBuilds": 0,
    "runningBuilds": 0,
    "successRate": 0,
    "avgDurationMs": 0,
    "timestamp": "2026-02-20T12:00:00.000Z",
    "drift": 0,
    "driftByFigure": {},
    "differences": [],
}


@pytest.fixture
def runs(nova_settings: Settings) -> Runs:
    return Runs(nova_settings)


def build(id_: str, status: str, **more: Any) -> dict[str, Any]:
    return {"entity": "builds", "after": {"id": id_, "status": status, **more}}


BUILDS = [
    build("b1", "completed", startedAt=before(NOON, seconds=90), completedAt=before(NOON)),
    build("b2", "completed", startedAt=before(NOON, seconds=9)),  # without completedAt
    build("b3", "failed", startedAt=before(NOON, seconds=5), completedAt=before(NOON)),
    build("b4", "running"),
    build("b5", "pending"),
    build("b6", "completed"),
    {"entity": "builds", "op": "d", "seq": 9, "before": {"id": "b6"}},
]


async def test_no_builds(runs: Runs) -> None:
    assert await runs.run(run_once) == EMPTY


async def test_figures_and_history(runs: Runs, apply_lines: ApplyLines) -> None:
    await apply_lines(BUILDS)
    found = await runs.run(run_once)
    assert found == {
        **EMPTY,
        "totalBuilds": 5,
        "completedBuilds": 2,
        "failedBuilds": 1,
        "runningBuilds": 1,
        "successRate": 40,
        "avgDurationMs": 90_000,
    }
    later = NOON + timedelta(hours=1)
    await apply_lines([{**build("b4", "failed"), "seq": 20}])
    await runs.run(run_once, later)
    await runs.run(run_once, later)  # a repetition is one row
    history = await runs.fetch("SELECT * FROM build_stats_history ORDER BY taken_at")
    assert [(row["taken_at"], row["failed_builds"], row["drift"]) for row in history] == [
        (NOON, 1, 0),
        (later, 2, 0),
    ]
    assert await runs.fetch("SELECT cached_at FROM build_stats_cache") == [{"cached_at": later}]


async def test_a_dry_run_remembers_nothing(runs: Runs, apply_lines: ApplyLines) -> None:
    await apply_lines(BUILDS)
    assert (await runs.run(run_once, dry_run=True))["totalBuilds"] == 5
    assert await runs.fetch("SELECT * FROM build_stats_history") == []


@pytest.mark.parametrize(
    ("statement", "figures"),
    [
        ("UPDATE build_stats_cache SET failed_builds = 7", {"failed_builds": 1}),
        ("DELETE FROM build_stats_cache", {"row": 1}),
        (
            "UPDATE build_stats_partials SET duration_sum_ms = duration_sum_ms + 1 "
            "WHERE timed_builds > 0",
            {"duration_sum_ms": 1},
        ),
        ("DELETE FROM build_stats_partials", None),
        ("UPDATE builds SET status = 'failed' WHERE id = 'b4'", None),
    ],
)
async def test_every_difference_is_repaired(
    runs: Runs, apply_lines: ApplyLines, statement: str, figures: dict[str, int] | None
) -> None:
    await apply_lines(BUILDS)
    await runs.execute(statement)
    found = await runs.run(run_once)
    assert found["drift"] == len(found["differences"]) > 0
    if figures is not None:
        assert found["driftByFigure"] == figures
    assert (await runs.run(run_once))["drift"] == 0
    await apply_lines([{**build("b5", "running"), "seq": 30}])
    assert (await runs.run(run_once))["drift"] == 0
    assert (await audit(runs.settings)).differences == []
