"""Every slot gets one line and one outcome, whatever happens to the workers and to the clock."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from nova_stream.jobs.engine.job import JobContext
from nova_stream.settings import Settings
from tests.integration.jobs.stubs import (
    NOON,
    SKIP,
    FakeClock,
    Stub,
    job,
    outcomes,
    query,
    runs,
    scheduler,
)

pytestmark = pytest.mark.integration


async def test_a_slot_is_run_once_by_one_of_two(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub()
    both = [scheduler(jobs_settings, [job(work)], clock, name) for name in ("w1", "w2")]
    for one in both:
        await one.tick()
    assert await runs(jobs_settings) == []  # nothing before the job existed is demanded

    for _ in range(5):
        clock.move(minutes=1)
        await asyncio.gather(*(one.tick() for one in both))
        await asyncio.gather(*(one.tick() for one in both))
        for one in both:
            await one.drain()
    assert await outcomes(jobs_settings) == ["ok"] * 5
    assert work.ended == 5
    row = (await runs(jobs_settings))[0]
    assert row["result"] == '{"handled":7,"timestamp":"2026-02-20T12:01:00+00:00"}'
    assert (row["rows"], row["counts"], row["attempt"]) == (7, '{"handled":7}', 1)
    for one in both:
        await one.close()


async def test_longer_than_its_interval(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub()
    work.gate = asyncio.Event()
    one = scheduler(jobs_settings, [job(work)], clock)
    await one.tick()
    for _ in range(4):
        clock.move(minutes=1)
        await one.tick()
    work.gate.set()
    await one.drain()
    clock.move(minutes=1)
    await one.tick()
    await one.drain()
    assert await outcomes(jobs_settings) == [
        "ok",
        "skipped_overlap",
        "skipped_overlap",
        "skipped_overlap",
        "ok",
    ]
    assert work.ended == 2
    await one.close()


async def test_after_a_downtime(jobs_settings: Settings) -> None:
    """The latest missed slot is caught up, or none, as the job's policy says."""
    clock, catches_up, skips = FakeClock(), Stub(), Stub()
    jobs = [job(catches_up), job(skips, "skipping", missed=SKIP)]
    one = scheduler(jobs_settings, jobs, clock)
    await one.tick()
    await one.close()
    clock.move(minutes=5, seconds=45)

    one = scheduler(jobs_settings, jobs, clock, "w2")
    await one.tick()
    await one.drain()
    assert await outcomes(jobs_settings) == ["missed"] * 4 + ["late"]
    assert await outcomes(jobs_settings, "skipping") == ["missed"] * 5
    assert (catches_up.ended, skips.ended) == (1, 0)

    clock.move(seconds=15)
    await one.tick()
    await one.drain()
    assert (await outcomes(jobs_settings))[-1] == "ok"
    assert (await outcomes(jobs_settings, "skipping"))[-1] == "ok"
    await one.close()


async def test_a_clock_that_jumps_back_an_hour(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub()
    one = scheduler(jobs_settings, [job(work)], clock)
    await one.tick()
    for step in range(150):
        clock.move(minutes=-60 if step == 75 else 1)
        await one.tick()
        await one.drain()
    lines = await runs(jobs_settings)
    assert [row["slot"] for row in lines] == [
        NOON.replace(hour=12 + minute // 60, minute=minute % 60) for minute in range(1, 90)
    ]
    assert {row["outcome"] for row in lines} == {"ok"}
    assert work.ended == 89
    await one.close()


async def test_pause_and_resume(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub()
    one = scheduler(jobs_settings, [job(work)], clock)
    await one.tick()
    await one.ledger.pause("stub")
    for _ in range(3):
        clock.move(minutes=1)
        await one.tick()
    claim = await one.ledger.open_manual("stub", as_of=None, dry_run=False)
    await one._runner.run(job(work), claim)
    clock.move(minutes=1)
    await one.ledger.resume("stub")  # the fourth slot of the pause was not settled yet
    clock.move(minutes=1)
    await one.tick()
    await one.drain()
    assert await outcomes(jobs_settings) == ["skipped_paused"] * 4 + ["ok", "manual"]
    await one.close()


async def test_a_changed_schedule(jobs_settings: Settings) -> None:
    """The old schedule's slots are accounted for, the new one's are demanded from the change on."""
    clock, work = FakeClock(), Stub()
    one = scheduler(jobs_settings, [job(work)], clock)
    await one.tick()
    await one.close()
    clock.move(minutes=2, seconds=40)
    other = scheduler(jobs_settings, [job(work, schedule="*/5 * * * *")], clock)
    await other.tick()
    clock.move(minutes=3)
    await other.tick()
    await other.drain()
    assert [(row["slot"].minute, row["outcome"]) for row in await runs(jobs_settings)] == [
        (1, "missed"),
        (2, "missed"),
        (5, "late"),
    ]
    await other.close()


async def test_a_job_that_is_gone_is_demanded_no_longer(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub()
    for jobs in ([job(work), job(work, "old")], [job(work)]):
        one = scheduler(jobs_settings, jobs, clock)
        await one.tick()
        await one.close()
    assert await active(jobs_settings) == ["stub"]


async def test_versions_with_different_jobs_do_not_quarrel(jobs_settings: Settings) -> None:
    """The one that started last decides which jobs there are."""
    clock, both, new = FakeClock(), Stub(), Stub()
    old_version = scheduler(jobs_settings, [job(both), job(Stub(), "old")], clock, "w1")
    new_version = scheduler(jobs_settings, [job(both), job(new, "new")], clock, "w2")
    for one in (old_version, new_version):
        await one.tick()
    for _ in range(3):
        clock.move(minutes=1)
        for one in (old_version, new_version):
            await one.tick()
            await one.drain()
    assert await active(jobs_settings) == ["new", "stub"]
    assert await outcomes(jobs_settings) == ["ok"] * 3
    assert await outcomes(jobs_settings, "new") == ["ok"] * 3
    assert await outcomes(jobs_settings, "old") == []
    for one in (old_version, new_version):
        await one.close()


async def active(settings: Settings) -> list[str]:
    found = await query(settings, "SELECT job FROM job_settings WHERE active ORDER BY job")
    return [row["job"] for row in found]


async def test_attempts_and_failure(jobs_settings: Settings) -> None:
    clock, twice, always = FakeClock(), Stub(errors=2), Stub(errors=99)
    one = scheduler(jobs_settings, [job(twice), job(always, "bad", attempts=2)], clock)
    await one.tick()
    clock.move(minutes=1)
    await one.tick()
    await one.drain()
    (good,), (bad,) = await runs(jobs_settings), await runs(jobs_settings, "bad")
    assert (good["outcome"], good["attempt"], good["error"]) == ("ok", 3, None)
    assert (bad["outcome"], bad["attempt"]) == ("failed", 2)
    assert bad["error"] == "RuntimeError: as the test wanted"
    await one.close()


async def test_time_limit(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub(seconds=60)
    one = scheduler(jobs_settings, [job(work, timeout=0.2)], clock)
    await one.tick()
    clock.move(minutes=1)
    await one.tick()
    await one.drain()
    (row,) = await runs(jobs_settings)
    assert (row["outcome"], row["error"]) == ("timed_out", "not done after 0.2 s")
    await one.close()


async def test_postgres_away(jobs_settings: Settings) -> None:
    """No tick raises; what became due meanwhile is settled afterwards."""
    clock, work = FakeClock(), Stub()
    one = scheduler(jobs_settings, [job(work)], clock)
    await one.tick()
    gone = jobs_settings.model_copy(
        update={"database_url": type(jobs_settings.database_url)("postgresql://127.0.0.1:1/x")}
    )
    one.ledger.close()
    one.ledger._session.settings = gone
    for _ in range(3):
        clock.move(minutes=1)
        await one.tick()
    one.ledger._session.settings = jobs_settings
    await one.tick()
    await one.drain()
    assert await outcomes(jobs_settings) == ["missed", "missed", "ok"]
    await one.close()


async def test_a_worker_that_stops_gives_its_run_back(jobs_settings: Settings) -> None:
    clock, slow, quick = FakeClock(), Stub(seconds=60), Stub()
    first = scheduler(jobs_settings, [job(slow)], clock)
    await first.tick()
    clock.move(minutes=1)
    await first.tick()
    await slow.began.wait()
    await first.close()

    second = scheduler(jobs_settings, [job(quick)], clock, "w2")
    await second.tick()
    await second.drain()
    (row,) = await runs(jobs_settings)
    assert (row["outcome"], row["worker"], row["fence"], row["attempt"]) == ("ok", "w2", 2, 2)
    await second.close()


async def test_start_spread(jobs_settings: Settings) -> None:
    settings = jobs_settings.model_copy(update={"spread_health_check": 600.0})
    clock, work = FakeClock(), Stub()
    one = scheduler(settings, [job(work, "healthCheck", "*/30 * * * *")], clock)
    await one.tick()
    (row,) = await query(settings, "SELECT start_offset FROM job_settings")
    offset = row["start_offset"]
    assert 0 < offset < 600
    clock.move(minutes=30, seconds=offset - 0.5)
    await one.tick()
    assert await runs(settings, "healthCheck") == []
    clock.move(seconds=0.5)
    await one.tick()
    await one.drain()
    assert await outcomes(settings, "healthCheck") == ["ok"]
    await one.close()


async def test_a_request_is_run_by_a_worker(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub()
    one = scheduler(jobs_settings, [job(work)], clock)
    await one.tick()
    number = await one.ledger.request("stub", as_of=NOON.replace(hour=3), dry_run=True)
    await asyncio.sleep(0.01)
    await one.tick()
    await one.drain()
    (row,) = await runs(jobs_settings)
    assert (row["id"], row["outcome"], row["at"].hour) == (number, "dry_run", 3)
    assert work.contexts[0].dry_run
    assert work.contexts[0].run_id is None
    await one.close()


async def test_history_is_pruned_by_age(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub()
    one = scheduler(jobs_settings, [job(work, schedule="0 0 * * *")], clock)
    await one.tick()
    for _ in range(120):
        clock.move(days=1)
        await one.tick()
        await one.drain()
    assert await one.ledger.prune() == 29
    assert len(await runs(jobs_settings)) == 91
    await one.close()


async def test_logs_hold_nothing_that_belongs_to_somebody(
    jobs_settings: Settings, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One line a run, with numbers; what a job says in words is in its row alone."""
    private = "jo@example.org asked: write me a poem"

    class Words(msgspec.Struct):
        handled: int
        note: str

    async def says(context: JobContext) -> Words:
        return Words(handled=3, note=private)

    async def breaks(context: JobContext) -> Words:
        raise ValueError(private)

    caplog.set_level(logging.INFO, logger="nova_stream")
    clock = FakeClock()
    one = scheduler(jobs_settings, [job(says), job(breaks, "bad")], clock)
    await one.tick()
    clock.move(minutes=1)
    await one.tick()
    await one.drain()
    await one.close()
    output = capsys.readouterr()
    logged = output.out + output.err + caplog.text
    assert logged.count("outcome=ok") + logged.count("'outcome': 'ok'") == 1
    assert "ValueError" in logged
    assert "jo@" not in logged
    assert "poem" not in logged
    (row,) = await runs(jobs_settings, "bad")
    assert row["error"] == f"ValueError: {private}"
