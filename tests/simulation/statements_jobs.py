"""The statements of the ledger of jobs, as Postgres answers them, and the one by which jobs work.

The server's clock is the loop's: it is right, whatever the clocks of the processes say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from nova_stream.storage.jobs import ledger_sql as sql
from tests.simulation.database import Row, Transaction
from tests.simulation.process import STARTED
from tests.simulation.statements_positions import nothing

JOBS, RUNS, SLOTS, EFFECTS = "job_settings", "job_runs", "slots of job_runs", "effects"
#: By this a simulated job does its work: $1 job, $2 run, $3 what it believes, $4 session.
WORK = "the job's work"

_STATE = ("job", "schedule", "start_offset", "late_after", "missed", "accounted_to", "paused_at")
_MINUTE = timedelta(minutes=1)


def server_time() -> datetime:
    return STARTED + timedelta(seconds=asyncio.get_running_loop().time())


def _after(seconds: float) -> datetime:
    return server_time() + timedelta(seconds=seconds)


# -- jobs ------------------------------------------------------------------------------------------


async def look(tx: Transaction, jobs: Sequence[str]) -> list[Row]:
    now = server_time()
    orphaned = {
        run["job"]
        for run in tx.scan(RUNS).values()
        if run["outcome"] is None and run["lease_until"] < now
    }
    rows = [row for job in jobs if (row := tx.get(JOBS, job)) is not None]
    return [_state(row) | {"orphaned": row["job"] in orphaned} for row in rows]


def _state(row: Row) -> Row:
    return {name: row[name] for name in (*_STATE, "active")}


async def lock_job(tx: Transaction, job: str) -> list[Row]:
    row = await tx.lock(JOBS, job)
    return [] if row is None else [_state(row)]


async def insert_job(tx: Transaction, *values: Any) -> list[Row]:
    job, schedule, minutes, _, _, _, _, _, offset, late, missed, *_, now = values
    if await tx.claim(JOBS, job):
        row = {"job": job, "schedule": schedule, "minutes": minutes, "start_offset": offset}
        row |= {"late_after": late, "missed": missed, "active": True, "paused_at": None}
        tx.put(JOBS, job, row | {"expected_from": now, "accounted_to": now})
    return []


async def update_job(tx: Transaction, *values: Any) -> list[Row]:
    row = await tx.lock(JOBS, values[0])
    assert row is not None
    assert values[-1] is None, "the schedules stay as they are"
    return []


async def pause(tx: Transaction, job: str, now: datetime, _reason: str | None) -> list[Row]:
    row = await tx.lock(JOBS, job)
    if row is not None:
        tx.put(JOBS, job, row | {"paused_at": row["paused_at"] or now})
    return []


async def resume(tx: Transaction, job: str) -> list[Row]:
    row = await tx.lock(JOBS, job)
    if row is not None:
        tx.put(JOBS, job, row | {"paused_at": None})
    return []


async def accounted(tx: Transaction, job: str, until: datetime) -> list[Row]:
    row = await tx.lock(JOBS, job)
    if row is not None:
        tx.put(JOBS, job, row | {"accounted_to": max(row["accounted_to"], until)})
    return []


# -- slots -----------------------------------------------------------------------------------------


def slots(minutes: Iterable[int], after: datetime, until: datetime) -> Iterable[datetime]:
    """All slots after ``after`` up to ``until``: every hour of every day has them."""
    slot = after.astimezone(UTC).replace(second=0, microsecond=0)
    while (slot := slot + _MINUTE) <= until:
        if slot.minute in minutes:
            yield slot


async def account(
    tx: Transaction, job: str, after: datetime, until: datetime, now: datetime, worker: str
) -> list[Row]:
    row = tx.get(JOBS, job)
    closed: Counter[str] = Counter()
    for slot in slots(row["minutes"], after, until) if row else ():
        assert row is not None
        late = slot + timedelta(seconds=row["start_offset"] + row["late_after"])
        paused = row["paused_at"] is not None and late >= row["paused_at"]
        outcome = "skipped_paused" if paused else "missed"
        if await _insert(tx, job, slot, outcome=outcome, ended_at=now, worker=worker):
            closed[outcome] += 1
    return [{"outcome": outcome, "number": number} for outcome, number in closed.items()]


async def _insert(tx: Transaction, job: str, slot: datetime | None, **values: Any) -> Row | None:
    """A new line; None where the slot has one."""
    if slot is not None and not await tx.claim(SLOTS, (job, slot)):
        return None
    number = tx.database.next_id()
    kind = "manual" if slot is None else "slot"
    row = {"id": number, "job": job, "slot": slot, "kind": kind, "outcome": None, "at": None}
    row |= {"lease_until": None, "late": False, "attempt": 0, "fence": 1, "scheduled_at": slot}
    if slot is not None:
        tx.put(SLOTS, (job, slot), {"id": number})
    await tx.lock(RUNS, number)
    tx.put(RUNS, number, row | values)
    return row | values


async def is_running(tx: Transaction, job: str) -> list[Row]:
    runs = tx.scan(RUNS).values()
    open_ = (r["job"] == job and r["outcome"] is None and r["kind"] == "slot" for r in runs)
    return [{"exists": any(open_)}]


async def open_slot(tx: Transaction, job: str, slot: datetime, *values: Any) -> list[Row]:
    scheduled, late, now, worker, lease = values
    given = {"late": late, "at": now, "worker": worker, "lease_until": _after(lease)}
    row = await _insert(tx, job, slot, scheduled_at=scheduled, **given)
    return [] if row is None else [{"id": row["id"], "fence": row["fence"]}]


async def skip_overlap(tx: Transaction, job: str, slot: datetime, *values: Any) -> list[Row]:
    scheduled, now, worker = values
    given = {"scheduled_at": scheduled, "ended_at": now, "worker": worker}
    row = await _insert(tx, job, slot, outcome="skipped_overlap", **given)
    return [] if row is None else [{"id": row["id"]}]


# -- runs ------------------------------------------------------------------------------------------


async def open_manual(tx: Transaction, job: str, kind: str, *values: Any) -> list[Row]:
    now, as_of, worker, lease = values
    given = {"kind": kind, "scheduled_at": now, "at": as_of, "worker": worker}
    row = await _insert(tx, job, None, **given, lease_until=_after(lease))
    assert row is not None
    return [{"id": row["id"], "fence": row["fence"]}]


async def orphans(tx: Transaction, job: str) -> list[Row]:
    now = server_time()
    found = []
    for number, row in sorted(tx.scan(RUNS).items()):
        if row["job"] == job and _is_orphan(row, now):
            locked = await tx.lock(RUNS, number)
            if locked is not None and _is_orphan(locked, now):
                found.append(locked)
    names = ("id", "slot", "kind", "scheduled_at", "late", "worker", "attempt", "fence")
    return [{**{name: row[name] for name in names}, "as_of": row["at"]} for row in found]


def _is_orphan(row: Row, now: datetime) -> bool:
    return row["outcome"] is None and row["lease_until"] < now


async def take(
    tx: Transaction, run: int, worker: str, lease: float, as_of: datetime, late: bool
) -> list[Row]:
    row = await tx.lock(RUNS, run)
    assert row is not None
    fence = row["fence"] + 1
    given = {"fence": fence, "worker": worker, "at": as_of, "late": late}
    tx.put(RUNS, run, row | given | {"lease_until": _after(lease)})
    return [{"fence": fence}]


async def give_up(tx: Transaction, run: int, now: datetime, error: str) -> list[Row]:
    row = await tx.lock(RUNS, run)
    if row is not None and row["outcome"] is None:
        given = {"outcome": "failed", "ended_at": now, "error": error, "lease_until": None}
        tx.put(RUNS, run, row | given)
    return []


async def _held(tx: Transaction, run: int, fence: int) -> Row | None:
    row = await tx.lock(RUNS, run)
    held = row is not None and row["fence"] == fence and row["outcome"] is None
    return row if held else None


async def extend(tx: Transaction, run: int, fence: int, lease: float) -> list[Row]:
    if (row := await _held(tx, run, fence)) is None:
        return []
    tx.put(RUNS, run, row | {"lease_until": _after(lease)})
    return [{"id": run}]


async def begin_attempt(
    tx: Transaction, run: int, fence: int, lease: float, now: datetime
) -> list[Row]:
    if (row := await _held(tx, run, fence)) is None:
        return []
    number = row["attempt"] + 1
    given = {"attempt": number, "lease_until": _after(lease), "started_at": now}
    given["begun_fence"] = fence
    tx.put(RUNS, run, row | given)
    return [{"attempt": number}]


async def finish(tx: Transaction, run: int, fence: int, outcome: str, *values: Any) -> list[Row]:
    if (row := await _held(tx, run, fence)) is None:
        return []
    ended_at, *_, error, _query_ms = values
    given = {"outcome": outcome, "ended_at": ended_at, "error": error, "lease_until": None}
    tx.put(RUNS, run, row | given)
    return [{"id": run}]


async def release(tx: Transaction, run: int, fence: int) -> list[Row]:
    if (row := await _held(tx, run, fence)) is not None:
        tx.put(RUNS, run, row | {"lease_until": _after(-0.001)})
    return []


async def holds(tx: Transaction, run: int, fence: int) -> list[Row]:
    row = tx.get(RUNS, run)
    held = row is not None and row["fence"] == fence and row["outcome"] is None
    return [{"exists": held}]


async def end_sessions(tx: Transaction, begin: str, keep: str) -> list[Row]:
    sessions = [s for s in tx.database.sessions if s.application.startswith(begin)]
    ended = [session for session in sessions if session.application != keep]
    for session in ended:
        session.end()
    return [{"count": len(ended)}]


async def work(tx: Transaction, job: str, run: int, believed: datetime, session: str) -> list[Row]:
    number = tx.database.next_id()
    await tx.lock(EFFECTS, number)
    row = {"job": job, "run": run, "believed": believed, "fence": int(session.rpartition("/")[2])}
    tx.put(EFFECTS, number, row)
    return []


HANDLERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "BEGIN": ("BEGIN", nothing),
    "COMMIT": ("COMMIT", nothing),
    "ROLLBACK": ("ROLLBACK", nothing),
    sql.LOOK: ("LOOK", look),
    sql.LOCK_JOB: ("LOCK_JOB", lock_job),
    sql.INSERT_JOB: ("INSERT_JOB", insert_job),
    sql.UPDATE_JOB: ("UPDATE_JOB", update_job),
    sql.RETIRE_JOBS: ("RETIRE_JOBS", nothing),
    sql.PAUSE: ("PAUSE", pause),
    sql.RESUME: ("RESUME", resume),
    sql.ACCOUNTED: ("ACCOUNTED", accounted),
    sql.ACCOUNT: ("ACCOUNT", account),
    sql.IS_RUNNING: ("IS_RUNNING", is_running),
    sql.OPEN_SLOT: ("OPEN_SLOT", open_slot),
    sql.SKIP_OVERLAP: ("SKIP_OVERLAP", skip_overlap),
    sql.OPEN_MANUAL: ("OPEN_MANUAL", open_manual),
    sql.ORPHANS: ("ORPHANS", orphans),
    sql.TAKE: ("TAKE", take),
    sql.GIVE_UP: ("GIVE_UP", give_up),
    sql.EXTEND: ("EXTEND", extend),
    sql.BEGIN_ATTEMPT: ("BEGIN_ATTEMPT", begin_attempt),
    sql.FINISH: ("FINISH", finish),
    sql.RELEASE: ("RELEASE", release),
    sql.HOLDS: ("HOLDS", holds),
    sql.END_SESSIONS: ("END_SESSIONS", end_sessions),
    WORK: ("WORK", work),
}
