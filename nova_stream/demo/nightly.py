"""Last night's jobs, run for real and as of their slots, once the demo's past is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from nova_stream.clock import Clock, isoformat
from nova_stream.errors import NovaStreamError
from nova_stream.jobs.engine.cron import schedule_of
from nova_stream.jobs.engine.job import Job
from nova_stream.jobs.engine.manual import run_manually
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings
from nova_stream.storage.database import open_session
from nova_stream.storage.faults import DATABASE_ERRORS
from nova_stream.storage.jobs.read import runs
from nova_stream.storage.lists.statements import OpenRange
from nova_stream.storage.stats.read import reached
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_DAY = timedelta(days=1)
_LIMIT_S = 60.0  # until the past is applied
_PAUSE_S = 0.2


async def run_last_night(
    settings: Settings, jobs: Sequence[Job], clock: Clock, past: PositionToken
) -> None:
    """Run those of ``jobs`` by hand that are due once a day, each as of its last slot, in the order
    of the slots, once ``past`` is applied; one that the ledger has a run of since then is left.

    What keeps it from that is told in the log: a demo goes on without.
    """
    try:
        async with asyncio.timeout(_LIMIT_S):
            await _applied(settings, past)
        now = clock()
        for slot, job in _last_night(settings, jobs, now):
            if not await _has_run(settings, job, slot):
                await run_manually(settings, job, dry_run=False, as_of=slot)
    except (NovaStreamError, TimeoutError, *DATABASE_ERRORS) as error:
        _log.warning("demo_without_last_night", error=str(error) or type(error).__name__)


def _last_night(
    settings: Settings, jobs: Sequence[Job], now: datetime
) -> list[tuple[datetime, Job]]:
    found = []
    for job in jobs:
        schedule = schedule_of(settings, job)
        slot = schedule.previous(now)
        if schedule.next(slot) - slot == _DAY:
            found.append((slot, job))
    return sorted(found, key=lambda each: each[0])


async def _applied(settings: Settings, past: PositionToken) -> None:
    async with open_session(settings, "demo") as connection:
        while True:
            if past.reached((await reached(connection)).offsets):
                return
            await asyncio.sleep(_PAUSE_S)


async def _has_run(settings: Settings, job: Job, slot: datetime) -> bool:
    async with open_session(settings, "demo") as connection:
        since = OpenRange(isoformat(slot), None)
        return bool((await runs(connection, job.name, 1, span=since)).rows)
