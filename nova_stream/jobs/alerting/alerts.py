"""What somebody should know of: conditions over the ledger, as alerts with a begin and an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median
from typing import Any

import msgspec

from nova_stream.clock import Clock, isoformat
from nova_stream.jobs import health_check
from nova_stream.jobs.alerting.messages import Channel
from nova_stream.jobs.engine.session import Session
from nova_stream.settings import Settings
from nova_stream.storage.apply.positions import StoppedPartition
from nova_stream.storage.apply.sources import MovedSource
from nova_stream.storage.database import read_committed
from nova_stream.storage.jobs.alerts import AlertStore, MissedFacts, RunFacts
from nova_stream.storage.jobs.rows import Alert, AlertKind, Outcome
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_GOOD = {Outcome.OK, Outcome.LATE, Outcome.MANUAL}
_HEALTH = health_check.NAME
#: A job's own baseline is the median of so many good runs, and of no fewer than these.
BASELINE = 20
_FEWEST = 5
#: A missed slot is shown for this long after it was noted.
_MISSED_SHOWN = timedelta(hours=1)
#: Slots without a line are looked for as far back; the view ``late_jobs`` has them all.
LOOKED_BACK = timedelta(days=2)


class Condition(msgspec.Struct, frozen=True):
    """Something that is so now, with the figure that says it."""

    kind: AlertKind
    subject: str
    message: str
    value: float


def conditions(
    settings: Settings,
    runs: Iterable[RunFacts],
    missed: Iterable[MissedFacts],
    moved: Iterable[MovedSource] = (),
    stopped: Iterable[StoppedPartition] = (),
) -> list[Condition]:
    """All conditions that hold, from each job's newest runs (newest first), missed slots,
    partitions whose source seems to have moved, and those that stand.
    """
    found: list[Condition] = []
    for job, group in groupby(runs, key=lambda run: run.job):
        newest_first = list(group)
        found += _success_rate(settings, job, newest_first)
        found += _slow(settings, job, newest_first)
        found += _drift(job, newest_first)
        if job == _HEALTH:
            found += _table_sizes(settings, newest_first)
            found += _health(newest_first)
    found += [_missed(facts) for facts in missed]
    found += [
        _moved(topic, list(partitions))
        for topic, partitions in groupby(moved, key=lambda item: item.topic)
    ]
    found += [
        _stopped(topic, list(standing))
        for topic, standing in groupby(stopped, key=lambda item: item.topic)
    ]
    return found


class Share(msgspec.Struct, frozen=True):
    """How many of a job's last runs went well."""

    good: int
    runs: int

    @property
    def percent(self) -> float | None:
        """None without a run."""
        return round(self.good / self.runs * 100, 2) if self.runs else None


def share_of_good(settings: Settings, runs: Sequence[RunFacts]) -> Share:
    """The share of the last NOVA_ALERT_RUNS of a job's ended runs (newest first)."""
    last = runs[: settings.alert_runs]
    return Share(sum(run.outcome in _GOOD for run in last), len(last))


def baseline(runs: Sequence[RunFacts]) -> float | None:
    """What the runs before the newest usually took, in milliseconds; None while they are few."""
    return _usual([run.duration_ms for run in runs[1:] if run.outcome in _GOOD])


def query_baseline(runs: Sequence[RunFacts]) -> float | None:
    """The same of their statements in Postgres alone."""
    return _usual([run.query_ms for run in runs[1:] if run.outcome in _GOOD])


def _usual(times: Sequence[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return median(known[:BASELINE]) if len(known) >= _FEWEST else None


def _success_rate(settings: Settings, job: str, runs: Sequence[RunFacts]) -> Iterator[Condition]:
    share = share_of_good(settings, runs)
    rate = share.percent
    if rate is not None and rate < settings.alert_success_rate:
        yield Condition(
            AlertKind.SUCCESS_RATE,
            job,
            f"{share.good} of the last {share.runs} runs of {job} went well ({rate:g} %, "
            f"{settings.alert_success_rate:g} % are expected)",
            rate,
        )


def _slow(settings: Settings, job: str, runs: Sequence[RunFacts]) -> Iterator[Condition]:
    if runs[0].outcome not in _GOOD or runs[0].duration_ms is None:
        return
    usual, took = baseline(runs), runs[0].duration_ms
    if usual is None:
        return
    if (
        took > settings.alert_slow_factor * usual
        and took > settings.alert_slow_floor_seconds * 1000
    ):
        yield Condition(
            AlertKind.SLOW,
            job,
            f"the last run of {job} took {took / 1000:.3f} s, {took / usual:.1f} times its usual "
            f"{usual / 1000:.3f} s",
            took,
        )


def _drift(job: str, runs: Sequence[RunFacts]) -> Iterator[Condition]:
    drift = (runs[0].result or {}).get("drift", 0)
    if isinstance(drift, int | float) and drift > 0:
        yield Condition(
            AlertKind.DRIFT,
            job,
            f"{job} found {drift:g} figures of the cache that were not as counted, and repaired "
            f"them",
            float(drift),
        )


def _table_sizes(settings: Settings, runs: Sequence[RunFacts]) -> Iterator[Condition]:
    result = runs[0].result or {}
    for field, table, limit in (
        ("taskTableSize", "tasks", settings.task_table_warning),
        ("activityTableSize", "agent_activity_feed", settings.activity_table_warning),
    ):
        size = result.get(field)
        if isinstance(size, int) and size > limit:
            message = f"table {table} has {size} rows, more than {limit}"
            yield Condition(AlertKind.TABLE_SIZE, table, message, float(size))
            continue
        gained = (result.get("growthPerDay") or {}).get(field)
        if not (isinstance(size, int) and isinstance(gained, int | float) and gained > 0):
            continue
        days = (limit - size) / gained
        if days <= settings.alert_growth_days:
            message = (
                f"table {table} has {size} rows and gains {gained:.0f} a day: by that it has more "
                f"than {limit} in {max(1, round(days))} days"
            )
            yield Condition(AlertKind.GROWTH, table, message, round(days, 1))


def _health(runs: Sequence[RunFacts]) -> Iterator[Condition]:
    states: list[Any] = [(run.result or {}).get("status") for run in runs[:2]]
    if states[0] == "error":
        yield Condition(AlertKind.HEALTH, _HEALTH, f"{_HEALTH} found an error", 2.0)
    elif states == ["warning", "warning"]:
        yield Condition(AlertKind.HEALTH, _HEALTH, f"{_HEALTH} warned repeatedly", 1.0)


def _missed(facts: MissedFacts) -> Condition:
    slots = "slot" if facts.number == 1 else "slots"
    return Condition(
        AlertKind.MISSED,
        facts.job,
        f"{facts.number} {slots} of {facts.job} missed, the last at {isoformat(facts.newest)}",
        float(facts.number),
    )


def _moved(topic: str, partitions: Sequence[MovedSource]) -> Condition:
    letters = sum(item.letters for item in partitions)
    return Condition(
        AlertKind.SOURCE,
        topic,
        f"the source of {topic} seems to have moved to another server: {letters} changes are newer "
        f"by their time and older by their lsn than what is known. If so: nova-stream topics "
        f"new-source {topic}",
        float(letters),
    )


def _stopped(topic: str, partitions: Sequence[StoppedPartition]) -> Condition:
    first = partitions[0]
    numbers = ", ".join(str(item.partition) for item in partitions)
    return Condition(
        AlertKind.DEAD_LETTERS,
        topic,
        f"{topic} stands in partition {numbers}: {first.why}. Correct what publishes, or start the "
        "workers with a higher NOVA_DEAD_LETTER_LIMIT",
        float(len(partitions)),
    )


class Alerts:
    """Keeps the table ``alerts`` in step with the conditions, for ``channels`` to tell of; any
    number of workers may.
    """

    def __init__(self, settings: Settings, clock: Clock, channels: Iterable[Channel]) -> None:
        self._settings = settings
        self._clock = clock
        self._session = Session(settings, "alerts")
        self._channels = [channel.name for channel in channels]

    async def check(self) -> None:
        """Begin alerts for new conditions and end those whose condition is gone.

        Leaves it to another worker that is at it. Raises DatabaseUnavailableError or what asyncpg
        raises; the next check finds the same.
        """
        now = self._clock()
        async with self._session.use() as connection, read_committed(connection):
            store = AlertStore(connection)
            if not await store.try_lock():
                return
            found = await self._conditions(store, now)
            await self._reconcile(store, found, now)

    async def state(self) -> tuple[dict[str, float], list[Alert]]:
        """How many seconds jobs are overdue, and the open alerts; raises as ``check`` does."""
        now = self._clock()
        async with self._session.use() as connection:
            store = AlertStore(connection)
            return await store.overdue(now - LOOKED_BACK, now), await store.open_alerts()

    async def prune(self) -> None:
        """Delete alerts that ended more than NOVA_JOB_HISTORY_DAYS ago."""
        async with self._session.use() as connection:
            await AlertStore(connection).prune(
                self._clock() - timedelta(days=self._settings.job_history_days), self._channels
            )

    def close(self) -> None:
        """Drop the connection."""
        self._session.close()

    async def _conditions(self, store: AlertStore, now: datetime) -> list[Condition]:
        runs = await store.runs(max(self._settings.alert_runs, BASELINE + 1))
        missed = await store.missed(now - _MISSED_SHOWN, now - LOOKED_BACK, now)
        return conditions(self._settings, runs, missed, await store.moved(), await store.stopped())

    async def _reconcile(
        self, store: AlertStore, found: Sequence[Condition], now: datetime
    ) -> None:
        opened = {(line.kind, line.subject): line for line in await store.open_alerts()}
        for condition in found:
            line = opened.pop((condition.kind, condition.subject), None)
            if line is None:
                await self._begin(store, condition, now)
            elif (line.message, line.value) != (condition.message, condition.value):
                await store.renew(line.id, condition.message, condition.value)
        for line in opened.values():
            await self._end(store, line, now)

    async def _begin(self, store: AlertStore, condition: Condition, now: datetime) -> None:
        number = await store.begin(
            condition.kind, condition.subject, condition.message, condition.value, now
        )
        if number is None:
            return
        await store.queue(number, "begin", self._channels)
        _log.warning(
            "alert", alert=condition.kind.value, subject=condition.subject, value=condition.value
        )

    async def _end(self, store: AlertStore, line: Alert, now: datetime) -> None:
        if not await store.end(line.id, now):
            return
        await store.queue(line.id, "end", self._channels)
        _log.info("alert is over", alert=line.kind, subject=line.subject)
