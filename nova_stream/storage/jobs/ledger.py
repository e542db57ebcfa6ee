"""The ledger of jobs in Postgres: one method a step; what is to be done is decided elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from nova_stream.storage.database import Connection
from nova_stream.storage.jobs import ledger_sql


class JobLine(msgspec.Struct, frozen=True):
    """What is stored of a job: its schedule as text and as sets of numbers, and its policy."""

    job: str
    schedule: str
    minutes: Sequence[int]
    hours: Sequence[int]
    days: Sequence[int]
    months: Sequence[int]
    weekdays: Sequence[int]
    either_day: bool
    start_offset: float
    late_after: float
    missed: str
    timeout: float
    attempts: int


class JobState(msgspec.Struct, frozen=True):
    """A job as a scheduler sees it. All slots up to ``accounted_to`` have their line."""

    job: str
    schedule: str
    start_offset: float
    late_after: float
    missed: str
    accounted_to: datetime
    paused_at: datetime | None
    orphaned: bool = False
    active: bool = True


class Orphan(msgspec.Struct, frozen=True):
    """A run whose lease ran out, or that nobody has taken yet (``worker`` is None)."""

    id: int
    slot: datetime | None
    kind: str
    scheduled_at: datetime
    late: bool
    as_of: datetime | None
    worker: str | None
    attempt: int
    fence: int


class HeldRun(msgspec.Struct, frozen=True):
    """A new line of the ledger, and the token that its worker holds."""

    id: int
    fence: int


class RunResult(msgspec.Struct, frozen=True):
    """How a run ended: what its line says from then on."""

    outcome: str
    at: datetime
    duration_ms: float
    rows: int | None
    counts: dict[str, int] | None
    result: bytes | None
    error: str | None
    query_ms: float


class JobStore:
    """The ledger over one connection; raises what asyncpg raises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # -- jobs --------------------------------------------------------------------------------------

    async def look(self, jobs: Sequence[str]) -> list[JobState]:
        """Those of ``jobs`` that the ledger knows."""
        rows = await self._connection.fetch(ledger_sql.LOOK, jobs)
        return [JobState(**dict(row)) for row in rows]

    async def lock(self, job: str) -> JobState | None:
        """Lock the job's row until the transaction ends; None where there is none."""
        row = await self._connection.fetchrow(ledger_sql.LOCK_JOB, job)
        return None if row is None else JobState(**dict(row))

    async def insert_job(self, line: JobLine, now: datetime) -> None:
        """Make the job known, with slots expected from ``now`` on; nothing where it is known."""
        await self._connection.execute(ledger_sql.INSERT_JOB, *msgspec.structs.astuple(line), now)

    async def update_job(self, line: JobLine, expected_from: datetime | None) -> None:
        """Store the job as it is now; with ``expected_from`` its slots count from then on."""
        await self._connection.execute(
            ledger_sql.UPDATE_JOB, *msgspec.structs.astuple(line), expected_from
        )

    async def retire_others(self, jobs: Sequence[str]) -> None:
        """Demand no more slots of jobs that are not among ``jobs``."""
        await self._connection.execute(ledger_sql.RETIRE_JOBS, jobs)

    async def pause(self, job: str, now: datetime, reason: str | None) -> None:
        await self._connection.execute(ledger_sql.PAUSE, job, now, reason)

    async def resume(self, job: str) -> None:
        await self._connection.execute(ledger_sql.RESUME, job)

    # -- slots -------------------------------------------------------------------------------------

    async def account(
        self, job: str, after: datetime, until: datetime, now: datetime, worker: str
    ) -> dict[str, int]:
        """Close all slots after ``after`` up to ``until``, as missed or skipped while paused.

        Gives how many got which outcome.
        """
        rows = await self._connection.fetch(ledger_sql.ACCOUNT, job, after, until, now, worker)
        return {row["outcome"]: row["number"] for row in rows}

    async def accounted(self, job: str, until: datetime) -> None:
        """Note that all slots up to ``until`` have their line."""
        await self._connection.execute(ledger_sql.ACCOUNTED, job, until)

    async def is_running(self, job: str) -> bool:
        """Whether a run of one of the job's slots is under way."""
        return bool(await self._connection.fetchval(ledger_sql.IS_RUNNING, job))

    async def open_slot(
        self,
        job: str,
        slot: datetime,
        scheduled_at: datetime,
        *,
        late: bool,
        now: datetime,
        worker: str,
        lease: float,
    ) -> HeldRun | None:
        """Begin the slot's run; None where the slot has its line already."""
        row = await self._connection.fetchrow(
            ledger_sql.OPEN_SLOT, job, slot, scheduled_at, late, now, worker, lease
        )
        return None if row is None else HeldRun(**dict(row))

    async def skip_overlap(
        self, job: str, slot: datetime, scheduled_at: datetime, now: datetime, worker: str
    ) -> bool:
        """Close the slot, since the run before it goes on; False where it has its line already."""
        found = await self._connection.fetchval(
            ledger_sql.SKIP_OVERLAP, job, slot, scheduled_at, now, worker
        )
        return found is not None

    # -- runs --------------------------------------------------------------------------------------

    async def open_manual(
        self,
        job: str,
        kind: str,
        *,
        now: datetime,
        as_of: datetime | None,
        worker: str | None,
        lease: float,
    ) -> HeldRun:
        """Begin a run by hand, which uses up no slot."""
        row = await self._connection.fetchrow(
            ledger_sql.OPEN_MANUAL, job, kind, now, as_of, worker, lease
        )
        assert row is not None
        return HeldRun(**dict(row))

    async def orphans(self, job: str) -> list[Orphan]:
        """The job's runs that nobody holds, locked until the transaction ends."""
        return [
            Orphan(**dict(row)) for row in await self._connection.fetch(ledger_sql.ORPHANS, job)
        ]

    async def take(
        self, run: int, worker: str, lease: float, *, as_of: datetime, late: bool
    ) -> HeldRun:
        """Take over a run: its former worker's token is worth nothing from the commit on."""
        fence = await self._connection.fetchval(ledger_sql.TAKE, run, worker, lease, as_of, late)
        return HeldRun(run, fence)

    async def give_up(self, run: int, now: datetime, error: str) -> None:
        await self._connection.execute(ledger_sql.GIVE_UP, run, now, error)

    async def extend(self, held: HeldRun, lease: float) -> bool:
        """Hold the run for ``lease`` seconds from now; False when it is held no longer."""
        found = await self._connection.fetchval(ledger_sql.EXTEND, held.id, held.fence, lease)
        return found is not None

    async def begin_attempt(self, held: HeldRun, lease: float, now: datetime) -> int | None:
        """Count one more attempt; its number, or None when the run is held no longer."""
        number: int | None = await self._connection.fetchval(
            ledger_sql.BEGIN_ATTEMPT, held.id, held.fence, lease, now
        )
        return number

    async def finish(self, held: HeldRun, ended: RunResult) -> bool:
        """Close the run's line; False when it is held no longer."""
        counts = None if ended.counts is None else msgspec.json.encode(ended.counts).decode()
        result = None if ended.result is None else ended.result.decode()
        found = await self._connection.fetchval(
            ledger_sql.FINISH,
            held.id,
            held.fence,
            ended.outcome,
            ended.at,
            ended.duration_ms,
            ended.rows,
            counts,
            result,
            ended.error,
            ended.query_ms,
        )
        return found is not None

    async def release(self, held: HeldRun) -> None:
        """Give the run back, unfinished: the next worker that looks takes it."""
        await self._connection.execute(ledger_sql.RELEASE, held.id, held.fence)

    async def holds(self, held: HeldRun) -> bool:
        return bool(await self._connection.fetchval(ledger_sql.HOLDS, held.id, held.fence))

    async def end_sessions(self, begin: str, keep: str) -> int:
        """End the sessions whose application name starts with ``begin``, except those named
        ``keep``: what they have not committed is rolled back. Gives their number.
        """
        number: int = await self._connection.fetchval(ledger_sql.END_SESSIONS, begin, keep)
        return number

    # -- history -----------------------------------------------------------------------------------

    async def prune(self, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` lines that ended before ``before``; gives their number."""
        await self._connection.execute(ledger_sql.EXPECT_FROM, before)
        tag: str = await self._connection.execute(ledger_sql.PRUNE, before, limit)
        return int(tag.rsplit(maxsplit=1)[-1])
