"""The ledger: which slot is run, by whom, and how every slot ends.

Any worker may account for any job; the job's row is locked while one does, and the unique line
(job, slot) decides who runs a slot. A run is held by a lease with a fencing token: who lost it can
neither finish it nor keep a session in which to commit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from nova_stream.clock import Clock
from nova_stream.errors import LeaseLostError, UsageError
from nova_stream.jobs.engine.cron import Schedule, offset_of, parse, schedule_of
from nova_stream.jobs.engine.job import Job, MissedSlots
from nova_stream.jobs.engine.run import Claim, DueJobs, Kind, Settlement, worker_name
from nova_stream.jobs.engine.session import Session
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, connect, read_committed
from nova_stream.storage.jobs.ledger import JobLine, JobState, JobStore, Orphan, RunResult
from nova_stream.storage.jobs.rows import Outcome

#: Characters of the reason of a pause.
LONGEST_REASON = 500
_PRUNED_AT_ONCE = 1000
_TICK = timedelta(microseconds=1)


class Ledger:
    """The ledger as one worker uses it, over one connection that is opened when it is needed.

    All methods raise DatabaseUnavailableError or what asyncpg raises while Postgres is away, and
    may be called again afterwards.
    """

    def __init__(
        self, settings: Settings, jobs: Sequence[Job], clock: Clock, worker: str | None = None
    ) -> None:
        self.worker = worker or worker_name()
        self.lease = settings.job_lease_seconds
        self._settings = settings
        self._clock = clock
        self._jobs = {job.name: job for job in jobs}
        self._lines = [_job_line(settings, job) for job in sorted(jobs, key=lambda j: j.name)]
        self._session = Session(settings, "jobs")

    def close(self) -> None:
        """Drop the connection; a later call opens another."""
        self._session.close()

    @asynccontextmanager
    async def store(self) -> AsyncIterator[JobStore]:
        """The stored ledger, for one caller at a time and for a few seconds."""
        async with self._session.use() as connection:
            yield JobStore(connection)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[JobStore]:
        async with self._session.use() as connection, read_committed(connection):
            yield JobStore(connection)

    async def check(self) -> None:
        """Raise SchemaVersionError unless the database has the schema of this version."""
        await self._session.check_schema()

    # -- jobs --------------------------------------------------------------------------------------

    async def register(self) -> None:
        """Store this worker's jobs. A new job's slots are expected from now on, and so are those
        of a new schedule, once the old one's are accounted for.
        """
        now = self._clock()
        async with self._transaction() as store:
            for line in self._lines:
                await store.insert_job(line, now)
                state = await store.lock(line.job)
                assert state is not None
                changed = state.schedule != line.schedule or not state.active
                if changed and state.active:
                    await self._account(store, state, now, _latest_due(state, now))
                await store.update_job(line, now if changed else None)
            await store.retire_others([line.job for line in self._lines])

    async def ensure(self, job: str) -> None:
        """Make ``job`` known if no worker has yet."""
        async with self.store() as store:
            for line in self._lines:
                if line.job == job:
                    await store.insert_job(line, self._clock())

    async def pause(self, job: str, reason: str | None = None) -> None:
        """Run no more slots of ``job``; each gets its line as skipped. Runs go on.

        ``reason`` is what others are told; one that is paused already may get another. Raises
        UsageError for one that is not ``sayable``.
        """
        if reason is not None and not sayable(reason):
            raise UsageError(f"a reason has at most {LONGEST_REASON} characters")
        await self.ensure(job)
        async with self.store() as store:
            await store.pause(job, self._clock(), reason)

    async def resume(self, job: str) -> None:
        """Run slots again from now on; those of the pause get their lines."""
        now = self._clock()
        async with self._transaction() as store:
            state = await store.lock(job)
            if state is None or state.paused_at is None:
                return
            await self._account(store, state, now, _latest_due(state, now))
            await store.resume(job)

    # -- slots -------------------------------------------------------------------------------------

    async def look(self, now: datetime) -> DueJobs | None:
        """What is to be settled, and when the next slot comes; None when a job is not known and
        has to be registered (again: somebody may have restored a backup).
        """
        async with self.store() as store:
            states = await store.look(list(self._jobs))
        if len(states) < len(self._jobs):
            return None
        # A newer version has no such job any more: it is not this worker's to bring it back.
        states = [state for state in states if state.active]
        due = [s.job for s in states if s.orphaned or _latest_due(s, now) > s.accounted_to]
        return DueJobs(due, min((_next_due(s, now) for s in states), default=now))

    async def settle(self, name: str, now: datetime) -> Settlement:
        """Account for all of the job's slots that are due, and take over what nobody holds.

        The runs that this worker is to make are the claims of the answer.
        """
        settled = Settlement()
        former: dict[int, str] = {}
        async with self._transaction() as store:
            state = await store.lock(name)
            if state is None or not state.active:
                return settled
            latest = _latest_due(state, now)
            superseded = latest > state.accounted_to
            for orphan in await store.orphans(name):
                claim = await self._take(store, state, orphan, now, superseded=superseded)
                former[orphan.id] = "" if claim is None else claim.session
                if claim is None:
                    settled.closed[Outcome.FAILED] += 1
                else:
                    settled.claims.append(claim)
            if superseded:
                await self._settle_slots(store, state, now, latest, settled)
        for run, keep in former.items():
            await self._end_former_sessions(run, keep)
        return settled

    async def _settle_slots(
        self, store: JobStore, state: JobState, now: datetime, latest: datetime, settled: Settlement
    ) -> None:
        scheduled = latest + timedelta(seconds=state.start_offset)
        late = (now - scheduled).total_seconds() > state.late_after
        runs = state.paused_at is None and not (late and state.missed == MissedSlots.SKIP)
        closed = await self._account(store, state, now, latest - _TICK if runs else latest)
        settled.closed.update({Outcome(name): number for name, number in closed.items()})
        if not runs:
            return
        await store.accounted(state.job, latest)
        if await store.is_running(state.job):
            if await store.skip_overlap(state.job, latest, scheduled, now, self.worker):
                settled.closed[Outcome.SKIPPED_OVERLAP] += 1
            return
        opened = await store.open_slot(
            state.job, latest, scheduled, late=late, now=now, worker=self.worker, lease=self.lease
        )
        if opened is not None:
            settled.claims.append(Claim(state.job, opened, Kind.SLOT, latest, now, late))

    async def _account(
        self, store: JobStore, state: JobState, now: datetime, until: datetime
    ) -> Mapping[str, int]:
        """Close what is not accounted for yet; what history would prune at once gets no line."""
        oldest = now - timedelta(days=self._settings.job_history_days)
        after = max(state.accounted_to, oldest)
        if until <= after:
            return {}
        closed = await store.account(state.job, after, until, now, self.worker)
        await store.accounted(state.job, until)
        return closed

    async def _take(
        self, store: JobStore, state: JobState, orphan: Orphan, now: datetime, *, superseded: bool
    ) -> Claim | None:
        """Take over a run that nobody holds; None when it is given up instead."""
        kind = Kind(orphan.kind)
        late = orphan.late
        if kind is Kind.SLOT:
            overdue = (now - orphan.scheduled_at).total_seconds() > state.late_after
            late = late or (orphan.attempt == 0 and overdue)
            reason = _why_not(
                state, orphan, self._attempts(state.job), overdue=overdue, superseded=superseded
            )
        else:
            reason = "its process went away" if orphan.worker is not None else None
        if reason is not None:
            await store.give_up(orphan.id, now, reason)
            return None
        as_of = now if kind is Kind.SLOT or orphan.as_of is None else orphan.as_of
        held = await store.take(orphan.id, self.worker, self.lease, as_of=as_of, late=late)
        return Claim(state.job, held, kind, orphan.slot, as_of, late)

    def _attempts(self, job: str) -> int:
        return self._jobs[job].policy.attempts if job in self._jobs else 1

    async def _end_former_sessions(self, run: int, keep: str) -> None:
        """End what a run's former worker still has open: a stopped process, were it to go on,
        could otherwise commit what it had begun.
        """
        async with self.store() as store:
            await store.end_sessions(f"nova-stream job {run}/", f"nova-stream {keep}")

    # -- runs --------------------------------------------------------------------------------------

    async def open_earlier(self, job: str, slot: datetime) -> Claim | None:
        """Begin the run of a slot from before the job was known; None where it has its line."""
        await self.ensure(job)
        now = self._clock()
        async with self._transaction() as store:
            state = await store.lock(job)
            assert state is not None
            scheduled = slot + timedelta(seconds=state.start_offset)
            held = await store.open_slot(
                job, slot, scheduled, late=True, now=now, worker=self.worker, lease=self.lease
            )
        return None if held is None else Claim(job, held, Kind.SLOT, slot, now, late=True)

    async def open_manual(self, job: str, *, as_of: datetime | None, dry_run: bool) -> Claim:
        """Begin a run by hand in this process; it uses up no slot and does not mind a pause."""
        kind = Kind.DRY_RUN if dry_run else Kind.MANUAL
        now = self._clock()
        async with self.store() as store:
            held = await store.open_manual(
                job, kind, now=now, as_of=as_of or now, worker=self.worker, lease=self.lease
            )
        return Claim(job, held, kind, None, as_of or now)

    async def request(self, job: str, *, as_of: datetime | None, dry_run: bool) -> int:
        """Ask the workers for a run by hand: the first that looks makes it. Gives its number."""
        kind = Kind.DRY_RUN if dry_run else Kind.MANUAL
        async with self.store() as store:
            opened = await store.open_manual(
                job, kind, now=self._clock(), as_of=as_of, worker=None, lease=0
            )
        return opened.id

    async def begin_attempt(self, claim: Claim) -> int:
        """Count an attempt and give its number; raises LeaseLostError."""
        async with self.store() as store:
            number = await store.begin_attempt(claim.held, self.lease, self._clock())
        if number is None:
            raise _lost(claim)
        return number

    async def extend(self, claim: Claim) -> None:
        """Hold the run for one more lease from now; raises LeaseLostError."""
        async with self.store() as store:
            if not await store.extend(claim.held, self.lease):
                raise _lost(claim)

    async def finish(self, claim: Claim, ended: RunResult) -> None:
        """Close the run's line; raises LeaseLostError when another worker holds it."""
        async with self.store() as store:
            if not await store.finish(claim.held, ended):
                raise _lost(claim)

    async def release(self, claim: Claim) -> None:
        """Give the run back, unfinished, for another worker to take at once."""
        async with self.store() as store:
            await store.release(claim.held)

    async def open_session(self, claim: Claim) -> Connection:
        """A database session for the run's work.

        It is ended when the run is taken over; after that none can be opened: LeaseLostError.
        """
        connection = await connect(self._settings, claim.session)
        try:
            # Asked in the session itself: who takes the run over ends every session that exists,
            # and one that begins later finds the new token here.
            holds = await JobStore(connection).holds(claim.held)
        except BaseException:
            connection.terminate()
            raise
        if not holds:
            connection.terminate()
            raise _lost(claim)
        return connection

    async def prune(self) -> int:
        """Delete lines older than NOVA_JOB_HISTORY_DAYS; gives their number."""
        before = self._clock() - timedelta(days=self._settings.job_history_days)
        deleted = 0
        while True:
            async with self.store() as store:
                number = await store.prune(before, _PRUNED_AT_ONCE)
            deleted += number
            if number < _PRUNED_AT_ONCE:
                return deleted


def sayable(reason: str) -> bool:
    """Whether a pause may have this reason: no longer than LONGEST_REASON, nothing unstorable."""
    return len(reason) <= LONGEST_REASON and "\x00" not in reason


def _latest_due(state: JobState, now: datetime) -> datetime:
    """The newest slot whose time, with the job's offset, has come."""
    schedule: Schedule = parse(state.schedule)
    return schedule.previous(now - timedelta(seconds=state.start_offset))


def _next_due(state: JobState, now: datetime) -> datetime:
    offset = timedelta(seconds=state.start_offset)
    return parse(state.schedule).next(now - offset) + offset


def _why_not(
    state: JobState, orphan: Orphan, attempts: int, *, overdue: bool, superseded: bool
) -> str | None:
    """Why a slot's run whose worker went away is not taken up again; None when it is."""
    if orphan.fence >= attempts:
        return f"its worker went away, {orphan.fence} times"
    if state.paused_at is not None:
        return "its worker went away, and the job is paused"
    if superseded:
        return "its worker went away, and a later slot is due"
    if overdue and state.missed == MissedSlots.SKIP:
        return "its worker went away, and the job does not catch up"
    return None


def _lost(claim: Claim) -> LeaseLostError:
    return LeaseLostError(
        f"run {claim.held.id} of {claim.job} is no longer held by this worker: its lease ran out "
        "and another one took it, or it is closed"
    )


def _job_line(settings: Settings, job: Job) -> JobLine:
    schedule = schedule_of(settings, job)
    return JobLine(
        job=job.name,
        schedule=schedule.text,
        minutes=schedule.minutes,
        hours=schedule.hours,
        days=schedule.days,
        months=schedule.months,
        weekdays=schedule.weekdays,
        either_day=schedule.either_day,
        start_offset=offset_of(settings, job),
        late_after=settings.job_late_seconds,
        missed=job.policy.missed.value,
        timeout=job.policy.timeout,
        attempts=job.policy.attempts,
    )
