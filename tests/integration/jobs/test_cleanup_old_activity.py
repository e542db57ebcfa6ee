"""cleanupOldActivity deletes what is older, nothing else, and gives it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nova_stream.errors import UsageError
from nova_stream.jobs.cleanup_old_activity import run_once, undo
from nova_stream.settings import Settings
from nova_stream.storage.database import connect
from nova_stream.storage.maintenance import sql
from tests.integration.jobs.work import NOON, ApplyLines, FenceError, Runs, before, scanned

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
FILL = """
INSERT INTO agent_activity_feed (id, timestamp, version, version_minor, changed_at, src_partition,
    src_offset, doc)
SELECT 'a' || n, timestamptz '2026-02-13 12:00Z' - n * interval '1 second', n, 0, now(), 0, n,
    jsonb_build_object('id', 'a' || n, 'details', 'said ' || n)
FROM generate_series({first}, {last}) n
"""


@pytest.fixture
def runs(nova_settings: Settings) -> Runs:
    return Runs(nova_settings)


def activity(id_: str, **ago: float) -> dict[str, Any]:
    fields = {"id": id_, "userId": "u", "details": id_, "timestamp": before(NOON, **ago)}
    return {"entity": "activities", "after": fields}


async def everything(runs: Runs) -> list[dict[str, Any]]:
    return await runs.fetch("SELECT * FROM agent_activity_feed ORDER BY id")


async def test_what_is_exactly_seven_days_old_stays(runs: Runs, apply_lines: ApplyLines) -> None:
    day = {"days": 7}
    await apply_lines(
        [
            activity("at", **day),
            activity("older", **day, milliseconds=1),
            activity("younger", **day, milliseconds=-1),
            {"entity": "activities", "after": {"id": "timeless"}},
            activity("gone", days=8),
            {"entity": "activities", "op": "d", "seq": 9, "before": {"id": "gone"}},
        ]
    )
    assert await runs.run(run_once) == {
        "deleted": 1,
        "cutoffTime": "2026-02-13T12:00:00.000Z",
        "forgotten": 0,
    }
    assert await runs.ids("agent_activity_feed", "true") == ["at", "gone", "timeless", "younger"]
    assert (await runs.run(run_once))["deleted"] == 0


async def test_an_empty_table(runs: Runs) -> None:
    assert (await runs.run(run_once))["deleted"] == 0


async def test_a_dry_run_counts_and_leaves_all(runs: Runs) -> None:
    await runs.execute(FILL.format(first=1, last=2500))
    assert (await runs.run(run_once, dry_run=True))["deleted"] == 2500
    assert len(await runs.ids("agent_activity_feed")) == 2500
    assert await runs.ids("activity_archive", "true") == []


async def test_undo_puts_every_column_back_and_the_next_run_leaves_it_alone(runs: Runs) -> None:
    await runs.execute(FILL.format(first=0, last=2500))
    known = await everything(runs)
    assert (await runs.run(run_once))["deleted"] == 2500
    assert await runs.ids("agent_activity_feed") == ["a0"]

    assert await undo(runs.settings, runs.last) == 2500
    assert await everything(runs) == known
    assert await undo(runs.settings, runs.last) == 0
    assert (await runs.run(run_once))["deleted"] == 0
    assert (await runs.run(run_once, NOON + WEEK))["deleted"] == 1

    await runs.execute("UPDATE activity_archive SET kept_until = now() - interval '1 s'")
    assert (await runs.run(run_once))["deleted"] == 2500


async def test_a_run_that_is_at_work_is_not_undone_by_half(runs: Runs) -> None:
    await runs.execute(FILL.format(first=1, last=5000))
    runs.fail_at = 2
    with pytest.raises(FenceError):
        await runs.run(run_once)
    await runs.execute(
        "INSERT INTO job_runs (id, job, kind, scheduled_at, lease_until) VALUES "
        f"({runs.last}, 'cleanupOldActivity', 'manual', now(), now() + interval '1 hour')"
    )
    with pytest.raises(UsageError, match="still at work"):
        await undo(runs.settings, runs.last)
    assert len(await runs.ids("agent_activity_feed")) == 3000
    await runs.execute("UPDATE job_runs SET lease_until = now() - interval '1 second'")
    assert await undo(runs.settings, runs.last) == 2000


async def test_a_run_that_deleted_nothing_cannot_be_undone(runs: Runs) -> None:
    with pytest.raises(UsageError, match="NOVA_UNDO_DAYS"):
        await undo(runs.settings, 17)


async def test_undo_does_not_bring_back_what_was_deleted_or_changed_since(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    await apply_lines([activity("deleted", days=9), activity("changed", days=9)])
    assert (await runs.run(run_once))["deleted"] == 2
    deletion = {"entity": "activities", "op": "d", "before": {"id": "deleted"}}
    await apply_lines([{**activity("changed", days=1), "seq": 8}, {**deletion, "seq": 9}])
    assert await undo(runs.settings, runs.last) == 0
    assert await runs.ids("agent_activity_feed") == ["changed"]
    (row,) = await runs.fetch("SELECT timestamp FROM agent_activity_feed WHERE id = 'changed'")
    assert row["timestamp"] == NOON - timedelta(days=1)


async def test_what_can_no_longer_be_put_back_is_forgotten(runs: Runs) -> None:
    await runs.execute(FILL.format(first=1, last=1500))
    await runs.run(run_once)
    kept = "SELECT count(*) FROM activity_archive"
    await runs.execute("UPDATE activity_archive SET archived_at = now() - interval '7 days'")
    assert (await runs.run(run_once))["forgotten"] == 1500
    assert (await runs.fetch(kept))[0]["count"] == 0


async def test_a_row_that_somebody_holds_is_left_for_the_next_run(runs: Runs) -> None:
    await runs.execute(FILL.format(first=1, last=10))
    holder = await connect(runs.settings, "holder")
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM agent_activity_feed WHERE id = 'a5' FOR UPDATE")
            assert (await runs.run(run_once))["deleted"] == 9
    finally:
        await holder.close()
    assert (await runs.run(run_once))["deleted"] == 1


async def test_a_run_that_loses_its_lease_stops_between_two_batches(runs: Runs) -> None:
    await runs.execute(FILL.format(first=1, last=5000))
    runs.fail_at = 3
    with pytest.raises(FenceError):
        await runs.run(run_once)
    assert len(await runs.ids("agent_activity_feed")) == 1000
    assert len(await runs.ids("activity_archive", "true")) == 4000
    runs.fail_at = None
    assert (await runs.run(run_once))["deleted"] == 1000


async def test_it_walks_an_index(runs: Runs) -> None:
    await runs.execute(FILL.format(first=-20000, last=3000))
    await runs.execute("ANALYZE agent_activity_feed, activity_archive")
    arguments = (NOON - WEEK, "-infinity", "", 1000, 1)
    assert await scanned(runs, sql.ARCHIVE_ACTIVITIES, *arguments) == set()
