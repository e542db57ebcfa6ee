"""Plays one history of the scheduler and holds the ledger to what docs/jobs.md promises."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec

from nova_stream.jobs.engine.job import Job, JobContext, MissedSlots, Policy
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.jobs.engine.scheduler import Scheduler
from nova_stream.storage.database import read_committed
from nova_stream.storage.faults import DATABASE_ERRORS
from tests.simulation.connection import Fault, Wire
from tests.simulation.database import Database
from tests.simulation.jobs_plan import JOBS, LATE, LEASE, LENGTH, Plan
from tests.simulation.process import NOTHING, Process
from tests.simulation.statements_jobs import EFFECTS, HANDLERS, RUNS, SLOTS, WORK, server_time
from tests.simulation.statements_jobs import JOBS as LINES
from tests.simulation.steps import Step

#: Virtual seconds in which all must be right again once nothing goes wrong any more: the longest
#: run has its time limit, and then there is a slot for each job.
_SETTLES = 200.0
#: How long a run may take then, from its slot on.
_RUNS = timedelta(seconds=10)
_MINUTE = timedelta(minutes=1)
_RUN, _NOT_RUN = ("ok", "late", "manual"), ("missed", "skipped_overlap", "skipped_paused")


class Done(msgspec.Struct):
    """What a simulated job gives."""

    rows: int


class JobsWorld:
    """Postgres, workers and the ledger of one history. ``fault`` is what is wrong, if any."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self.plan = plan
        self.fault: str | None = None
        strikes = {
            step.arguments[0]: Fault(*step.arguments[1:])
            for step in plan.steps
            if step.kind == "strike"
        }
        self.database = Database(self._committed)
        self.wire = Wire(self.database, random, HANDLERS, strikes)
        self._lasts = {s.arguments[:2]: s.arguments[2] for s in plan.steps if s.kind == "lasts"}
        self._planned = 0
        self._fails = {s.arguments[:2]: s.arguments[2] for s in plan.steps if s.kind == "fails"}
        self._tried: Counter[Any] = Counter()
        self._processes: dict[int, Process] = {}
        self._schedulers: dict[int, Scheduler] = {}
        self._lives = 0
        self._seen = 0
        self._operator = Process(self.wire, "operator")

    # -- the history -------------------------------------------------------------------------------

    async def play(self) -> None:
        """Play all of it; ends early where something is wrong."""
        for number in range(self.plan.workers):
            self._start(number)
        loop = asyncio.get_running_loop()
        for step in self.plan.steps:
            if (wait := step.at - loop.time()) > 0:
                await asyncio.sleep(wait)
            if self.fault is not None:
                return
            self._take(step)
        await asyncio.sleep(LENGTH - loop.time())
        await self._settle()
        for process in [*self._processes.values(), self._operator]:
            process.died = None
            process.kill()

    def _take(self, step: Step) -> None:
        match step.kind:
            case "kill":
                self._processes[step.arguments[0]].kill(step.arguments[1])
            case "freeze":
                self._processes[step.arguments[0]].freeze(step.arguments[1])
            case "stop":
                number, down = step.arguments
                process = self._processes[number]
                if process.alive:
                    process.start(self._stop(process, self._schedulers[number], down))
            case "clock":
                self._processes[step.arguments[0]].ahead = step.arguments[1]
            case "pause" | "resume" | "request":
                self._operator.start(self._operate(step.kind, step.arguments[0]))
            case "outage":
                self.database.refuse(step.arguments[0])

    async def _stop(self, process: Process, scheduler: Scheduler, down: float) -> None:
        """By SIGTERM."""
        await scheduler.close()
        process.kill(down)

    async def _operate(self, what: str, job: str) -> None:
        ledger = Ledger(self._settings(self._operator), self._jobs(), self._operator.clock)
        try:
            if what == "request":
                await ledger.request(job, as_of=None, dry_run=False)
            elif what == "pause":
                await ledger.pause(job)
            else:
                await ledger.resume(job)
        except DATABASE_ERRORS:
            return  # the operator is told
        finally:
            ledger.close()

    def _start(self, number: int) -> None:
        self._lives += 1
        process = Process(self.wire, f"worker {number}")
        self._processes[number] = process
        scheduler = Scheduler(
            self._settings(process),
            self._jobs(),
            process.clock,
            NOTHING,
            worker=f"worker {number}, life {self._lives}",
            look_every=5.0,
        )
        self._schedulers[number] = scheduler
        process.died = lambda down: self._restart(number, down)
        process.start(self._tick(scheduler))

    def _restart(self, number: int, down: float) -> None:
        self._note(self._processes[number].faults)
        asyncio.get_running_loop().call_later(down, self._start, number)

    async def _tick(self, scheduler: Scheduler) -> None:
        while True:
            await scheduler.tick()
            await asyncio.sleep(1.0)

    def _settings(self, process: Process) -> Any:
        return SimpleNamespace(
            process=process,
            job_lease_seconds=LEASE,
            job_late_seconds=LATE,
            job_history_days=90,
            otel=False,
        )

    # -- the jobs ----------------------------------------------------------------------------------

    def _jobs(self) -> list[Job]:
        missed = (MissedSlots.LATEST, MissedSlots.SKIP)
        return [
            Job(name, "* * * * *", "", Policy(100.0, missed=policy), self._work_of(name))
            for name, policy in zip(JOBS, missed, strict=True)
        ]

    def _work_of(self, name: str) -> Any:
        async def run_once(context: JobContext) -> Done:
            began = asyncio.get_running_loop().time() // 60
            connection: Any = await context.connect()
            await asyncio.sleep(self._lasts.get((name, began), 0.1))
            await context.fence()
            async with read_committed(connection):
                session = connection.application
                await connection.execute(WORK, name, context.run_id, context.now, session)
            self._tried[context.run_id] += 1
            if self._tried[context.run_id] <= self._fails.get((name, began), 0):
                self._planned += 1
                raise ValueError("as planned")
            return Done(1)

        return run_once

    # -- what must be true -------------------------------------------------------------------------

    def _note(self, faults: list[str]) -> None:
        if self.fault is None and faults:
            self.fault = faults[0]

    def _committed(self) -> None:
        if self.fault is None:
            self._note(list(self._differences()))

    def _differences(self) -> Iterator[str]:
        tables = self.database.tables
        for job, line in tables[LINES].items():
            due = minutes_between(line["expected_from"], line["accounted_to"])
            lines = sum(owner == job for owner, _ in tables[SLOTS])
            if lines != due:
                yield f"{job} has {lines} lines of {due} slots"
            runs = [r for r in tables[RUNS].values() if r["job"] == job and r["kind"] == "slot"]
            if sum(run["outcome"] is None for run in runs) > 1:
                yield f"two slots of {job} run at a time"
        for number in list(tables[EFFECTS])[self._seen :]:
            self._seen += 1
            effect = tables[EFFECTS][number]
            if effect["fence"] < tables[RUNS][effect["run"]].get("begun_fence", 0):
                yield f"run {effect['run']} was taken over, and its former worker wrote"

    async def _settle(self) -> None:
        """Nothing goes wrong any more: by itself every slot is run again."""
        self.wire.faults = {}
        self._lasts, self._fails = {}, {}
        for process in self._processes.values():
            process.ahead = 0.0
        for job in JOBS:
            await self._operate("resume", job)
        await asyncio.sleep(_SETTLES)
        for process in [*self._processes.values(), self._operator]:
            self._note(process.faults)
        self._note(list(self._left_over()))
        if self.database.deadlocks:
            self._note(["workers waited for each other in a circle"])

    def _left_over(self) -> Iterator[str]:
        """What is not as it must be at the end."""
        tables = self.database.tables
        now = server_time()
        wrote = Counter(effect["run"] for effect in tables[EFFECTS].values())
        for run in tables[RUNS].values():
            what = f"run {run['id']} of {run['job']}, slot {run['slot']}"
            number, outcome = wrote[run["id"]], run["outcome"]
            if outcome is None:
                if run["kind"] != "slot" or now - run["slot"] > _RUNS:
                    yield f"{what} never ended"
            elif outcome in _RUN and not number:
                yield f"{what} is {outcome} and did nothing"
            elif outcome in _NOT_RUN and number:
                yield f"{what} is {outcome} and was run"
            if number > run["attempt"]:
                yield f"{what} was done {number} times in {run['attempt']} attempts"
        again = sum(number - 1 for number in wrote.values())
        failed = sum(run["outcome"] in ("failed", "timed_out") for run in tables[RUNS].values())
        # What strikes a worker strikes a run of each job, and one that somebody asked for. How many
        # runs begin in a minute in which they fail is the clock's to say.
        most = 4 * self._disturbances() + self._planned
        if again > most or failed > most:
            yield f"{again} runs were done again and {failed} failed, at most {most} may"
        for job in JOBS:
            line = tables[LINES].get(job)
            if line is None or now - line["accounted_to"] > _MINUTE + _RUNS:
                yield f"{job} is not looked after: {line}"

    def _disturbances(self) -> int:
        """How often something happened after which a run may fail, or be done again."""
        innocent = ("clock", "fails", "pause", "resume", "request", "strike")
        return len(self.wire.struck) + sum(
            step.kind not in innocent and step.arguments[-1] not in (5.0, 20.0, 70.0)
            for step in self.plan.steps
        )


def minutes_between(after: datetime, until: datetime) -> int:
    """How many whole minutes there are after the one and up to the other."""
    return int(until.timestamp() // 60 - after.timestamp() // 60)
