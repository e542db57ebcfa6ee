"""What this worker did of late, and samples of it in Postgres for who looks back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import datetime, timedelta

from nova_stream.clock import EPOCH, Clock
from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.lag import stretches
from nova_stream.settings import Settings
from nova_stream.storage.apply import positions, sql
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.faults import is_away, name_of
from nova_stream.storage.kept_connection import KeptConnection
from nova_stream.storage.maintenance.stream_samples import SECONDS, Sample, insert
from nova_stream.storage.stats.histogram import FRESHNESS, histogram_of
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_SLOT = timedelta(seconds=SECONDS)
#: By so much a timer may be early.
_EARLY = timedelta(seconds=1)
#: Of a longer time a sample tells only so much: the process was stopped, or its clock was put on.
_LONGEST = 2 * _SLOT
#: Seconds for a sample; then there is none of these ten seconds.
_LIMIT_S = 8.0


class Recent:
    """What was committed since the last sample: the flush adds to it, nothing waits for it."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._applied = 0
        self._ran = 0.0
        self._sum = 0.0
        self._most: float | None = None
        self._bins: Counter[int] = Counter()

    def committed(self, records: int, freshness: float | None) -> None:
        """A flush of so many records, whose newest change was ``freshness`` seconds old."""
        self._applied += records
        if freshness is None:
            return
        milliseconds = freshness * 1000
        self._sum += milliseconds
        self._most = max(self._most or 0.0, milliseconds)
        self._bins[FRESHNESS.bin_of(milliseconds)] += 1

    def ran(self, seconds: float) -> None:
        """Whoever took samples ends; of ``seconds`` there is none yet."""
        self._ran += seconds

    def take(self, at: datetime, worker: str, seconds: float, lag: int | None) -> Sample:
        """A sample of it after ``seconds`` more, after which it begins anew."""
        sample = Sample(
            at=at,
            worker=worker,
            seconds=round(self._ran + seconds, 3),
            lag=lag,
            applied=self._applied,
            flushes=self._bins.total(),
            freshness_sum=round(self._sum, 3),
            freshness_max=None if self._most is None else round(self._most, 3),
            freshness=histogram_of(self._bins),
        )
        self._begin()
        return sample


class Samples:
    """Stores a sample every ten seconds until cancelled, over a connection of its own.

    While Postgres or Kafka is away it leaves samples or their lag out; it never raises, and nothing
    waits for it.
    """

    def __init__(
        self, settings: Settings, admin: KafkaAdmin, recent: Recent, clock: Clock, worker: str
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._recent = recent
        self._clock = clock
        self._worker = worker
        self._since = clock()
        self._connection = KeptConnection(lambda: connect(settings, "history", timeout=5.0))
        self._failing = False

    async def run(self) -> None:
        """Store samples until cancelled."""
        try:
            while True:
                await asyncio.sleep(until_next(self._clock()))
                await self.store()
        finally:
            self._recent.ran(self._seconds(self._clock()))
            self._connection.disconnect()

    async def store(self) -> None:
        """Store what was since the last sample; once in ten seconds."""
        now = self._clock()
        lag: int | None = None
        try:
            async with asyncio.timeout(_LIMIT_S):
                connection = await self._connection.connected()
                lag = await self._lag(connection)
                await insert(connection, self._take(now, lag))
        except Exception as error:  # nothing rests on it
            self._take(now, None)  # of which nobody will know
            self._connection.disconnect()
            if not self._failing:
                _log.warning(
                    "the stream's history cannot be stored",
                    error=name_of(error),
                    away=is_away(error),
                    then="tried again until it works; what was meanwhile is missing in it",
                )
            self._failing = True
        else:
            self._failing = False

    def _take(self, now: datetime, lag: int | None) -> Sample:
        seconds = self._seconds(now)
        self._since = now
        return self._recent.take(slot_before(now), self._worker, seconds, lag)

    def _seconds(self, now: datetime) -> float:
        """For how long it has run since the last sample."""
        return min(max(now - self._since, timedelta()), _LONGEST) / timedelta(seconds=1)

    async def _lag(self, connection: Connection) -> int | None:
        """Offsets that can be read and are not applied, of all partitions; None while Kafka does
        not tell. The logs are asked first, so that what is applied meanwhile is no lag.
        """
        logs = None
        with contextlib.suppress(KafkaUnavailableError):
            logs = await self._admin.logs(list(self._settings.topics()))
        if logs is None:
            return None
        applied = positions.by_partition(await connection.fetch(sql.STANDING))
        return sum(end - first for first, end in stretches(logs, applied).values())


def slot_before(now: datetime) -> datetime:
    """The begin of the ten seconds that end about ``now``: timers are late, or a little early."""
    return EPOCH + (round((now - EPOCH) / _SLOT) - 1) * _SLOT


def until_next(now: datetime) -> float:
    """Seconds until the next ten begin, at which all workers look. Who is a little early for one
    has looked already.
    """
    left = _SLOT - (now - EPOCH) % _SLOT
    return (left if left >= _EARLY else left + _SLOT) / timedelta(seconds=1)
