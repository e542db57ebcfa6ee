"""The ledger: leases with fencing tokens, and slots that SQL expects by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from nova_stream.clock import from_millis, system_clock
from nova_stream.errors import LeaseLostError
from nova_stream.jobs.engine.cron import Schedule, parse
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.engine.runner import Runner
from nova_stream.settings import Settings
from nova_stream.storage.database import connect
from nova_stream.storage.faults import DATABASE_ERRORS
from nova_stream.storage.jobs.ledger import RunResult
from tests.integration.jobs.stubs import FakeClock, Stub, job, query, runs, scheduler

pytestmark = pytest.mark.integration

ENDED = RunResult("ok", datetime(2026, 2, 20, tzinfo=UTC), 1.0, None, None, b"{}", None, 0.5)


async def claimed(settings: Settings, clock: FakeClock, worker: str) -> Ledger:
    """A ledger whose job has been registered."""
    ledger = Ledger(settings, [job(Stub())], clock, worker)
    await ledger.register()
    return ledger


async def test_who_lost_the_lease_can_neither_finish_nor_commit(jobs_settings: Settings) -> None:
    clock = FakeClock()
    old, new = [await claimed(jobs_settings, clock, name) for name in ("w1", "w2")]
    clock.move(minutes=1)
    (first,) = (await old.settle("stub", clock())).claims
    session = await old.open_session(first)
    transaction = session.transaction()
    await transaction.start()
    await session.execute("CREATE TABLE half_done (x int)")
    assert (await new.settle("stub", clock())).claims == []  # the lease holds

    await asyncio.sleep(jobs_settings.job_lease_seconds + 0.05)  # w1 stands still meanwhile
    (second,) = (await new.settle("stub", clock())).claims
    assert (second.held.id, second.held.fence) == (first.held.id, first.held.fence + 1)

    with pytest.raises(DATABASE_ERRORS):
        await transaction.commit()
    with pytest.raises(LeaseLostError, match="no longer held by this worker"):
        await old.extend(first)
    with pytest.raises(LeaseLostError):
        await old.open_session(first)
    with pytest.raises(LeaseLostError):
        await old.begin_attempt(first)
    with pytest.raises(LeaseLostError):
        await old.finish(first, ENDED)
    await new.finish(second, ENDED)
    with pytest.raises(LeaseLostError):
        await new.finish(second, ENDED)
    assert [row["worker"] for row in await runs(jobs_settings)] == ["w2"]
    (row,) = await query(jobs_settings, "SELECT to_regclass('half_done') AS found")
    assert row["found"] is None
    old.close()
    new.close()
    session.terminate()


async def test_a_run_that_was_taken_stops(jobs_settings: Settings) -> None:
    """A worker that was stopped and goes on notices by its heartbeat."""
    clock, work = FakeClock(), Stub(seconds=60)
    ledger = await claimed(jobs_settings, clock, "w1")
    clock.move(minutes=1)
    (claim,) = (await ledger.settle("stub", clock())).claims
    runner = Runner(jobs_settings, ledger, clock, JobMetrics(CollectorRegistry()))
    run = asyncio.create_task(runner.run(job(work), claim))
    await work.began.wait()
    await query(jobs_settings, "UPDATE job_runs SET fence = fence + 1, worker = 'w2'")
    assert await asyncio.wait_for(run, 5) is None
    assert work.ended == 0
    (row,) = await runs(jobs_settings)
    assert (row["worker"], row["outcome"]) == ("w2", None)
    ledger.close()


async def test_a_long_run_keeps_its_lease(jobs_settings: Settings) -> None:
    clock, work = FakeClock(), Stub(seconds=1.2)
    one = scheduler(jobs_settings, [job(work)], clock, "w1")
    two = scheduler(jobs_settings, [job(Stub())], clock, "w2")
    await one.tick()
    clock.move(minutes=1)
    await one.tick()
    for _ in range(10):
        await asyncio.sleep(0.1)
        await two.tick()
    await one.drain()
    (row,) = await runs(jobs_settings)
    assert (row["worker"], row["outcome"], row["fence"]) == ("w1", "ok", 1)
    await one.close()
    await two.close()


async def test_workers_that_die_of_a_run_do_not_all_die_of_it(jobs_settings: Settings) -> None:
    """After as many workers as the policy has attempts, the run is given up."""
    clock = FakeClock()
    ledger = await claimed(jobs_settings, clock, "w1")
    clock.move(minutes=1)
    fences = []
    for _ in range(4):
        fences += [claim.held.fence for claim in (await ledger.settle("stub", clock())).claims]
        await asyncio.sleep(jobs_settings.job_lease_seconds + 0.05)
    assert fences == [1, 2, 3]
    (row,) = await runs(jobs_settings)
    assert (row["outcome"], row["error"]) == ("failed", "its worker went away, 3 times")
    ledger.close()


async def test_late_jobs_with_every_worker_dead(jobs_settings: Settings) -> None:
    """SQL alone tells which runs are missing, and which run over their lease."""
    clock = FakeClock(system_clock() - timedelta(minutes=10))
    one = scheduler(jobs_settings, [job(Stub()), job(Stub(), "paused")], clock)
    await one.tick()
    await one.ledger.pause("paused")
    clock.move(minutes=1)
    (claim,) = (await one.ledger.settle("stub", clock())).claims
    one.ledger.close()
    await asyncio.sleep(jobs_settings.job_lease_seconds + 0.05)

    late = await query(jobs_settings, "SELECT * FROM late_jobs ORDER BY slot")
    assert (late[0]["run"], late[0]["reason"]) == (claim.held.id, "lease ran out")
    missing = [row["slot"] for row in late[1:]]
    assert {(row["job"], row["reason"]) for row in late[1:]} == {("stub", "no run")}
    assert 7 <= len(missing) <= 9
    assert claim.slot is not None
    assert missing == [claim.slot + timedelta(minutes=n + 1) for n in range(len(missing))]

    clock.now = system_clock()
    one = scheduler(jobs_settings, [job(Stub()), job(Stub(), "paused")], clock, "w2")
    await one.tick()
    await one.drain()
    assert await query(jobs_settings, "SELECT * FROM late_jobs") == []
    await one.close()


NUMBERS = st.one_of(st.just("*"), st.sampled_from(["*/2", "*/7", "*/13"]))


def field(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high).map(str)
    ranges = st.tuples(st.integers(low, high), st.integers(low, high), st.integers(1, 5)).map(
        lambda t: f"{min(t[:2])}-{max(t[:2])}/{t[2]}"
    )
    some = st.lists(st.one_of(one, ranges), min_size=1, max_size=3).map(",".join)
    return st.one_of(NUMBERS, some)


EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(
    " ".join
)


def python_slots(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    found: list[datetime] = []
    slot = schedule.next(after)
    while slot <= until:
        found.append(slot)
        slot = schedule.next(slot)
    return found


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_slots_of_sql_and_of_python_are_the_same(jobs_settings_sync: Settings, zone: str) -> None:
    with asyncio.Runner() as runner:
        connection = runner.run(connect(jobs_settings_sync, "test"))
        runner.run(connection.execute(f"SET timezone = '{zone}'"))

        @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(EXPRESSIONS, st.integers(0, 4_000_000_000_000), st.integers(1, 12 * 86_400))
        def agree(text: str, after_ms: int, seconds: int) -> None:
            try:
                schedule = parse(text)
            except ValueError:
                return
            after = from_millis(after_ms)
            until = after + timedelta(seconds=seconds)
            rows = runner.run(
                connection.fetch(
                    "SELECT slot FROM job_slots($1, $2, $3, $4, $5, $6, $7, $8) slot ORDER BY 1",
                    schedule.minutes,
                    schedule.hours,
                    schedule.days,
                    schedule.months,
                    schedule.weekdays,
                    schedule.either_day,
                    after,
                    until,
                )
            )
            assert [row["slot"] for row in rows] == python_slots(schedule, after, until)

        try:
            agree()
        finally:
            runner.run(connection.close())
