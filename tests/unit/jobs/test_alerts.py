"""The conditions of alerts: when each holds, and when just not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nova_stream.jobs.alerting.alerts import Condition, conditions
from nova_stream.settings import load_settings
from nova_stream.storage.apply.positions import StoppedPartition
from nova_stream.storage.apply.sources import MovedSource
from nova_stream.storage.jobs.alerts import MissedFacts, RunFacts
from nova_stream.storage.jobs.rows import AlertKind

SETTINGS = load_settings()


def run(
    outcome: str = "ok", took: float | None = 100.0, job: str = "stub", **result: Any
) -> RunFacts:
    return RunFacts(job, outcome, took, result or None)


def kinds(*runs: RunFacts) -> list[tuple[AlertKind, str]]:
    return [(c.kind, c.subject) for c in conditions(SETTINGS, runs, [])]


def test_nothing_to_say() -> None:
    assert kinds() == []
    assert kinds(*[run()] * 21) == []


@pytest.mark.parametrize(
    ("bad", "good", "alert"), [(1, 19, False), (2, 18, True), (1, 0, True), (1, 18, True)]
)
def test_success_rate(bad: int, good: int, alert: bool) -> None:
    runs = [run("ok")] * good + [run("failed")] * bad
    assert kinds(*runs) == ([(AlertKind.SUCCESS_RATE, "stub")] if alert else [])


def test_success_rate_looks_at_the_last_runs_only() -> None:
    assert kinds(*[run("late")] * 20, *[run("timed_out")] * 9) == []


@pytest.mark.parametrize(
    ("took", "usual", "before", "alert"),
    [
        (4001, 2000, 20, True),
        (4000, 2000, 20, False),  # twice is not over twice
        (4001, 2000, 4, False),  # no baseline yet
        (900, 100, 20, False),  # below the floor
        (1001, 100, 20, True),
    ],
)
def test_slow(took: float, usual: float, before: int, alert: bool) -> None:
    found = kinds(run(took=took), *[run(took=usual)] * before)
    assert found == ([(AlertKind.SLOW, "stub")] if alert else [])


@pytest.mark.parametrize(("drift", "alert"), [(0, False), (1, True)])
def test_drift(drift: int, alert: bool) -> None:
    runs = [run(job="computeAgentStats", drift=drift), run(job="computeAgentStats", drift=3)]
    assert kinds(*runs) == ([(AlertKind.DRIFT, "computeAgentStats")] if alert else [])


def health(status: str, tasks: int = 0, activities: int = 0) -> RunFacts:
    return run(job="healthCheck", status=status, taskTableSize=tasks, activityTableSize=activities)


def test_health() -> None:
    ok, warning, error = health("healthy"), health("warning"), health("error")
    assert kinds(ok, error) == []
    assert kinds(warning, ok) == []
    assert kinds(warning, warning) == [(AlertKind.HEALTH, "healthCheck")]
    assert kinds(error) == [(AlertKind.HEALTH, "healthCheck")]


def test_table_sizes() -> None:
    assert kinds(health("healthy", 100_000, 1_000_000)) == []
    assert kinds(health("warning", 100_001, 1_000_001)) == [
        (AlertKind.TABLE_SIZE, "tasks"),
        (AlertKind.TABLE_SIZE, "agent_activity_feed"),
    ]


@pytest.mark.parametrize(
    ("size", "gained", "alert"),
    [
        (93_000, 1000, AlertKind.GROWTH),
        (92_999, 1000, None),  # it takes more than seven days
        (100_001, 1000, AlertKind.TABLE_SIZE),  # which says it already
        (99_999, 0, None),
        (99_999, -5.5, None),
        (99_999, None, None),
    ],
)
def test_growth(size: int, gained: float | None, alert: AlertKind | None) -> None:
    found = health("healthy", size, 1)
    assert found.result is not None
    found.result["growthPerDay"] = {"taskTableSize": gained, "activityTableSize": None}
    assert kinds(found) == ([(alert, "tasks")] if alert else [])


def test_missed() -> None:
    facts = MissedFacts("stub", 2, datetime(2026, 2, 20, 12, tzinfo=UTC))
    message = "2 slots of stub missed, the last at 2026-02-20T12:00:00.000Z"
    assert conditions(SETTINGS, [], [facts]) == [Condition(AlertKind.MISSED, "stub", message, 2.0)]


def test_partitions_that_stand_are_one_alert_a_topic() -> None:
    noon = datetime(2026, 2, 20, 12, tzinfo=UTC)
    standing = [StoppedPartition("nova.tasks", number, noon, "9 of 10") for number in (0, 4)]
    found = conditions(SETTINGS, [], [], [], standing)
    assert [(c.kind, c.subject, c.value) for c in found] == [
        (AlertKind.DEAD_LETTERS, "nova.tasks", 2.0)
    ]
    assert found[0].message.startswith("nova.tasks stands in partition 0, 4: 9 of 10.")


def test_a_source_that_seems_to_have_moved_is_one_alert_a_topic() -> None:
    noon = datetime(2026, 2, 20, 12, tzinfo=UTC)
    moved = [
        MovedSource("nova.builds", 0, 5, noon, 2),
        MovedSource("nova.tasks", 0, 7, noon, 3),
        MovedSource("nova.tasks", 4, 9, noon, 4),
    ]
    found = conditions(SETTINGS, [], [], moved)
    assert [(c.kind, c.subject, c.value) for c in found] == [
        (AlertKind.SOURCE, "nova.builds", 2.0),
        (AlertKind.SOURCE, "nova.tasks", 7.0),
    ]
    assert "nova-stream topics new-source nova.tasks" in found[1].message
