"""What a worker does for the jobs: look for slots, watch, tell, and forget what is old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry

from nova_stream.clock import Clock, system_clock
from nova_stream.jobs.alerting.alerts import Alerts
from nova_stream.jobs.alerting.telling import Teller, channels
from nova_stream.jobs.engine.job import Job
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.engine.scheduler import EVERY, Scheduler
from nova_stream.settings import Settings
from nova_stream.storage.access import trail
from nova_stream.storage.database import open_session
from nova_stream.storage.dead_letters.store import open_store
from nova_stream.storage.faults import DATABASE_ERRORS, is_away, name_of
from nova_stream.storage.maintenance import stream_samples
from nova_stream.stream.worker import Timer
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_WATCH_EVERY_S = 15.0
_TELL_EVERY_S = 2.0
_PRUNE_EVERY_S = 3600.0
#: A database that restarts is no news; one that is away for longer is. Seconds.
_OUTAGE_S = 30.0


def job_timers(
    settings: Settings,
    jobs: Sequence[Job],
    registry: CollectorRegistry,
    clock: Clock = system_clock,
) -> list[Timer]:
    """The timers of a worker that runs ``jobs`` and counts into ``registry``.

    Raises SettingsError when a schedule cannot be read.
    """
    metrics = JobMetrics(registry)
    scheduler = Scheduler(settings, jobs, clock, metrics)
    told = channels(settings)
    alerts = Alerts(settings, clock, told)
    teller = Teller(settings, told)
    watch = Watch(alerts, teller, clock)

    async def prune() -> None:
        await scheduler.ledger.prune()
        await alerts.prune()

    async def forget() -> None:
        async with open_store(settings) as store:
            number = await store.forget(clock() - timedelta(days=settings.dead_letter_days))
        if number:
            _log.info("old dead letters were deleted", letters=number)

    async def forget_trail() -> None:
        if settings.trail_days is None:
            return
        async with open_session(settings, "trail") as connection:
            number = await trail.forget(connection, clock() - timedelta(days=settings.trail_days))
        if number:
            _log.info("old lines of the audit trail were deleted", lines=number)

    async def fold_history() -> None:
        async with open_session(settings, "history") as connection:
            await stream_samples.fold(connection, clock())
            before = clock() - timedelta(days=settings.stream_history_days)
            await stream_samples.forget(connection, before)

    async def show() -> None:
        await show_state(alerts, metrics, jobs)

    timers = [
        Timer("jobs", EVERY, scheduler.tick),
        Timer("alerts", _WATCH_EVERY_S, watch.check),
        _quiet("job-metrics", _WATCH_EVERY_S, show),
        _quiet("job-history", _PRUNE_EVERY_S, prune),
        _quiet("dead-letters", _PRUNE_EVERY_S, forget),
        _quiet("audit-trail", _PRUNE_EVERY_S, forget_trail),
        _quiet("stream-history", _PRUNE_EVERY_S, fold_history),
    ]
    if told:
        timers.append(_quiet("alert-channels", _TELL_EVERY_S, teller.deliver))
    return timers


async def show_state(alerts: Alerts, metrics: JobMetrics, jobs: Sequence[Job]) -> None:
    """Have the metrics show what is overdue and which alerts are open; raises as ``alerts``."""
    overdue, opened = await alerts.state()
    found = [(line.kind, line.subject) for line in opened]
    metrics.show_state([job.name for job in jobs], overdue, found)


class Watch:
    """Checks the alerts, and tells of an outage of Postgres itself, of which no row can."""

    def __init__(self, alerts: Alerts, teller: Teller, clock: Clock) -> None:
        self._alerts = alerts
        self._teller = teller
        self._clock = clock
        self._away_since: datetime | None = None

    async def check(self) -> None:
        """Check once; raises nothing while Postgres is away, nor where it refuses a statement."""
        now = self._clock()
        try:
            await self._alerts.check()
        except DATABASE_ERRORS as error:
            if not is_away(error):
                _log.error("alerts cannot be checked", error=name_of(error))
                return
            _log.debug("alerts wait for Postgres", error=type(error).__name__)
            self._away_since = self._away_since or now
            if (now - self._away_since).total_seconds() >= _OUTAGE_S:
                await self._teller.tell_outage(self._away_since, now)
        else:
            self._away_since = None
            await self._teller.tell_end_of_outage(now)


def _quiet(name: str, every: float, work: Callable[[], Awaitable[object]]) -> Timer:
    """A timer that waits for its next time while Postgres is away: the scheduler says so."""

    async def once() -> None:
        try:
            await work()
        except DATABASE_ERRORS as error:
            if is_away(error):
                _log.debug("waits for Postgres", error=type(error).__name__)
            else:
                _log.error("a timer of the jobs failed", timer=name, error=name_of(error))

    return Timer(name, every, once)
