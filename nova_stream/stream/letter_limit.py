"""A limit for dead letters: a partition stops before most of its topic goes among them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from nova_stream.errors import RevokedError
from nova_stream.kafka.model import Key
from nova_stream.settings import Settings
from nova_stream.storage.faults import DATABASE_ERRORS
from nova_stream.stream.metrics import Metrics
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: Seconds between two looks whether a stopped partition is still this worker's.
_PAUSE_S = 0.5


class _Window(msgspec.Struct):
    """The chunks of a partition's last seconds: when, records, letters; and their sums."""

    chunks: deque[tuple[float, int, int]]
    records: int = 0
    letters: int = 0

    def add(self, now: float, records: int, letters: int, span: float) -> None:
        self.chunks.append((now, records, letters))
        self.records += records
        self.letters += letters
        while now - self.chunks[0][0] > span:
            _, gone, bad = self.chunks.popleft()
            self.records -= gone
            self.letters -= bad


class LetterLimit:
    """Stops a partition when, of its records in the last NOVA_DEAD_LETTER_LIMIT_SECONDS, more than
    NOVA_DEAD_LETTER_LIMIT percent became dead letters, and there were at least
    NOVA_DEAD_LETTER_LIMIT_RECORDS.

    The chunk that exceeds it is not applied, so nothing is lost and nothing is hidden: it is read
    again by the worker that gets the partition next. ``note`` stores why a partition stands, or
    None once it moves.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        note: Callable[[Key, str | None], Awaitable[None]],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._percent = settings.dead_letter_limit
        self._fewest = settings.dead_letter_limit_records
        self._span = settings.dead_letter_limit_seconds
        self._metrics = metrics
        self._note = note
        self._seconds = seconds
        self._windows: dict[Key, _Window] = {}
        self._moving: set[Key] = set()

    async def admit(self, key: Key, records: int, letters: int, wanted: Callable[[], bool]) -> None:
        """Return when a chunk may be applied; RevokedError when its partition stood until
        ``wanted`` turned false.
        """
        window = self._windows.setdefault(key, _Window(deque()))
        if records:
            window.add(self._seconds(), records, letters, self._span)
        if letters and self._exceeds(window):
            await self._stand(key, window, wanted)
        elif records and key not in self._moving and await self._noted(key, None):
            self._moving.add(key)

    def _exceeds(self, window: _Window) -> bool:
        many = window.letters * 100 > window.records * self._percent
        return bool(self._percent) and window.records >= self._fewest and many

    async def _stand(self, key: Key, window: _Window, wanted: Callable[[], bool]) -> None:
        topic, partition = key
        why = (
            f"{window.letters} of the last {window.records} records would be dead letters, more "
            f"than {self._percent:g} % (NOVA_DEAD_LETTER_LIMIT)"
        )
        _log.error(
            "a partition stands: too many dead letters",
            topic=topic,
            partition=partition,
            letters=window.letters,
            records=window.records,
            then="correct what publishes; to let the records become dead letters, start the "
            "workers with a higher NOVA_DEAD_LETTER_LIMIT, or 0",
        )
        self._windows.pop(key, None)
        self._moving.discard(key)
        stopped = self._metrics.stopped.labels(topic)
        stopped.inc()
        try:
            noted = False
            while wanted():
                noted = noted or await self._noted(key, why)
                await asyncio.sleep(_PAUSE_S)
        finally:
            stopped.dec()
        raise RevokedError

    async def _noted(self, key: Key, why: str | None) -> bool:
        """Whether Postgres has it; what keeps it from that is told by the flush, which needs it,
        too.
        """
        try:
            await self._note(key, why)
        except DATABASE_ERRORS:
            return False
        return True
