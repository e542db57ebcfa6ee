"""Two workers, 500 slots, and either of them killed at any moment."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta

import pytest

from nova_stream.jobs.engine.job import JobContext
from nova_stream.jobs.engine.scheduler import Scheduler
from nova_stream.settings import Settings
from tests.integration.jobs.stubs import NOON, Done, FakeClock, job, query, runs, scheduler

pytestmark = [pytest.mark.integration, pytest.mark.long]

SLOTS = 500
END = NOON + timedelta(minutes=SLOTS)


class Chaos:
    """A worker that ticks until it is killed, and is started again."""

    def __init__(
        self, settings: Settings, clock: FakeClock, name: str, dice: random.Random, active: set[int]
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.name = name
        self.dice = dice
        self.kills = 0
        self.active = active
        #: Whether it is at work on a slot.
        self.works = False
        self.ticks = 0
        self.finished = 0
        self._scheduler: Scheduler | None = None
        self._ticks: asyncio.Task[None] | None = None

    async def work(self, context: JobContext) -> Done:
        assert context.run_id is not None
        assert context.run_id not in self.active, "two workers run one slot"
        self.active.add(context.run_id)
        self.works = True
        try:
            connection = await context.connect()
            await asyncio.sleep(self.dice.choice([0, 0, 0.002, 0.02]))
            await context.fence()
            await connection.execute(
                "INSERT INTO effects VALUES ($1) ON CONFLICT DO NOTHING", context.run_id
            )
        finally:
            self.active.remove(context.run_id)
            self.works = False
        self.finished += 1
        return Done(handled=1)

    def start(self) -> None:
        self.kills += 1
        self._scheduler = scheduler(
            self.settings, [job(self.work, attempts=100)], self.clock, f"{self.name}-{self.kills}"
        )
        self._ticks = asyncio.create_task(self._tick(self._scheduler))

    async def _tick(self, one: Scheduler) -> None:
        while True:
            await one.tick()
            self.ticks += 1
            await asyncio.sleep(self.dice.uniform(0, 0.01))

    async def kill(self) -> None:
        """As kill -9 does: nothing is given back, connections break off."""
        assert self._scheduler is not None
        assert self._ticks is not None
        one = self._scheduler
        one.ledger._session.close()
        one.ledger._session.settings = self.settings.model_copy(
            update={"database_url": type(self.settings.database_url)("postgresql://127.0.0.1:1/x")}
        )
        tasks = [self._ticks, *one._runs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def end(self) -> None:
        assert self._scheduler is not None
        assert self._ticks is not None
        self._ticks.cancel()
        await asyncio.gather(self._ticks, return_exceptions=True)
        await self._scheduler.drain()
        await self._scheduler.close()


async def _let_them_work(workers: list[Chaos], dice: random.Random, *, due: bool) -> None:
    """Wait for some ticks, or for a run of this slot to end: had they a time for it, a slow machine
    would miss most slots.
    """
    if due and dice.random() < 0.4:
        what, more = "finished", 1
    else:
        what, more = "ticks", dice.choice([0, 1, 2, 4])

    def counted() -> int:
        return sum(getattr(worker, what) for worker in workers)

    enough = counted() + more
    async with asyncio.timeout(60):
        while counted() < enough:  # noqa: ASYNC110 - two counters have no event
            await asyncio.sleep(0.001)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the killed's
@pytest.mark.parametrize("seed", [1, 2])
async def test_500_slots(jobs_settings: Settings, seed: int) -> None:
    jobs_settings = jobs_settings.model_copy(update={"job_lease_seconds": 0.15})
    dice = random.Random(seed)
    clock = FakeClock()
    await query(jobs_settings, "CREATE TABLE effects (run bigint PRIMARY KEY)")
    active: set[int] = set()
    workers = [Chaos(jobs_settings, clock, name, dice, active) for name in ("a", "b")]
    registrar = scheduler(jobs_settings, [job(workers[0].work, attempts=100)], clock)
    await registrar.tick()
    await registrar.close()
    for worker in workers:
        worker.start()
    while clock.now < END:
        clock.move(seconds=30)
        await _let_them_work(workers, dice, due=clock.now.second == 0)
        if dice.random() < 0.08:
            victim = dice.choice(workers)
            at_work = dice.random() < 0.5
            while at_work and not victim.works and clock.now < END:
                clock.move(seconds=30)
                await asyncio.sleep(0.002)
            await victim.kill()
            victim.start()
    await asyncio.sleep(jobs_settings.job_lease_seconds + 0.3)
    for worker in workers:
        await worker.end()

    lines = await runs(jobs_settings)
    assert [line["slot"] for line in lines] == [
        NOON + timedelta(minutes=minute) for minute in range(1, SLOTS + 1)
    ]
    tally = Counter(line["outcome"] for line in lines)
    assert None not in tally
    effects = {row["run"] for row in await query(jobs_settings, "SELECT run FROM effects")}
    assert {line["id"] for line in lines if line["outcome"] in {"ok", "late"}} <= effects
    assert sum(worker.kills for worker in workers) > 30
    assert max(line["fence"] for line in lines) > 1  # some were taken over
    assert tally["ok"] + tally["late"] > SLOTS / 5, tally
    print(seed, tally, [w.kills for w in workers], max(line["fence"] for line in lines))  # noqa: T201
