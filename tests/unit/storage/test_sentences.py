"""What runs of jobs did, in words."""

from __future__ import annotations

from typing import Any

import pytest

from nova_stream.storage.jobs.sentences import did, did_together


@pytest.mark.parametrize(
    ("job", "result", "says"),
    [
        ("cleanupOldActivity", {"deleted": 1}, "1 activity deleted"),
        (
            "computeAgentStats",
            {"computed": 21, "drift": 0},
            "21 agents recounted, every figure was right",
        ),
        (
            "refreshBuildStats",
            {"totalBuilds": 1, "drift": 2},
            "1 build recounted, 2 figures repaired",
        ),
        ("checkStalledBuilds", {"stalled": 0}, "No build has stalled"),
        ("checkStalledBuilds", {"stalled": 1}, "1 stalled build marked as failed"),
        (
            "compactOldExecutions",
            {"compacted": 1200, "objects": 2},
            "1,200 executions archived in 2 objects",
        ),
        ("compactOldExecutions", {"compacted": 0}, "0 executions archived"),
        (
            "markInactiveUsers",
            {"inactive": 4, "newlyInactive": 3, "reactivated": 1},
            "4 users inactive: 3 newly so, 1 active again",
        ),
        ("summarizeEngagement", {"days": 2, "users": 1}, "2 days counted with 1 active user"),
        (
            "healthCheck",
            {"problems": [], "lag": 0, "openDeadLetters": 1},
            "Healthy, lag 0, 1 open dead letter",
        ),
        ("healthCheck", {"problems": ["one", "two"], "lag": 0, "openDeadLetters": 0}, "one; two"),
        # Of another version, or of a job that has no sentence.
        ("healthCheck", {"lag": 7, "well": True}, "lag 7"),
        ("gone", {"seen": 5000, "at": "noon", "share": 0.5}, "seen 5,000, share 0.5"),
    ],
)
def test_a_result_is_told_as_a_sentence(job: str, result: dict[str, Any], says: str) -> None:
    assert did(job, "ok", result, dry_run=False) == says
    assert did(job, "dry_run", result, dry_run=True) == f"Dry run: {says}"


def test_a_slot_without_a_run_says_why() -> None:
    assert did("healthCheck", "missed", None, dry_run=False) == "Nobody ran it"
    assert (
        did("healthCheck", "skipped_paused", None, dry_run=False) == "Skipped: the job was paused"
    )
    assert did("healthCheck", "failed", None, dry_run=False) is None
    assert did("healthCheck", None, None, dry_run=False) is None


def test_several_runs_are_told_by_their_sums() -> None:
    assert did_together("cleanupOldActivity", {"deleted": 0}) == "0 activities deleted"
    assert (
        did_together("computeAgentStats", {"computed": 63, "drift": 0}) == "Every figure was right"
    )
    newly = {"newlyInactive": 3, "reactivated": 0, "inactive": 99}
    assert did_together("markInactiveUsers", newly) == "3 newly inactive, 0 active again"
    # The state after each of several runs has no sum.
    assert did_together("healthCheck", {"lag": 0}) is None
    assert did_together("cleanupOldActivity", {}) is None
