"""Last night's jobs, caught up for real once the demo's past is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from nova_stream.clock import Clock
from nova_stream.errors import NovaStreamError
from nova_stream.jobs.engine.cron import schedule_of
from nova_stream.jobs.engine.job import Job
from nova_stream.jobs.engine.manual import run_earlier
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings
from nova_stream.storage.database import open_session
from nova_stream.storage.faults import DATABASE_ERRORS
from nova_stream.storage.stats.read import reached
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_DAY = timedelta(days=1)
_LIMIT_S = 60.0  # until the past is applied
_PAUSE_S = 0.2


async def run_last_night(
    settings: Settings, jobs: Sequence[Job], clock: Clock, past: PositionToken
) -> None:
    """Run those of ``jobs`` that are due once a day for their last slots, in the order of these,
    once ``past`` is applied; a slot that has its line in the ledger is left.

    What keeps it from that is told in the log: a demo goes on without.
    """
    try:
        async with asyncio.timeout(_LIMIT_S):
            await _applied(settings, past)
        now = clock()
        for slot, job in _last_night(settings, jobs, now):
            await run_earlier(settings, job, slot)
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
