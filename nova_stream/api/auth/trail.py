"""What is written into the audit trail, and how much of it.

Each action of an administrator is two lines of its own: that it begins, without which nothing is
done, and what came of it, written before its answer goes out. All other
things that are told (publishing, looking at what only administrators may see, being refused) are
counted: the first of a kind is written within a second, the rest as one line every five minutes.
What callers without a token can cause is at most forty lines in that time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import NamedTuple

from nova_stream.api import refusals
from nova_stream.api.database import Database
from nova_stream.clock import system_clock
from nova_stream.storage.access import trail as trail_store
from nova_stream.storage.access.trail import BEGUN, Line
from nova_stream.storage.faults import name_of
from nova_stream.telemetry import get_logger

#: Seconds between two looks whether something waits to be written, and for one writing.
_PAUSE_S = 1.0
_LIMIT_S = 2.0
#: Seconds in which lines of a kind are put together.
_WINDOW_S = 300.0
#: Kinds in that time: of callers with a token, and of all others together. Beyond, lines are put
#: together that differ only in address and action, or object.
_KNOWN = 500
_OTHERS = 20

_SEVERAL = "(several)"
_NOTHING: Mapping[str, int] = {}
_log = get_logger(__name__)


class Deed(NamedTuple):
    """What was done or refused: a line without its times."""

    token: str | None
    address: str | None
    action: str
    object: str | None
    outcome: str
    refused: bool

    def shortened(self) -> Deed:
        """The same without what a caller can make up."""
        if self.token is not None:
            return self._replace(object=_SEVERAL)
        return self._replace(address=None, action=_SEVERAL, object=None)


class _Count:
    """How often a deed was seen that is not written yet, and how much it changed."""

    def __init__(self, now: datetime) -> None:
        self.first = self.last = now
        self.requests = 0
        self.changed: Counter[str] = Counter()

    def line(self, deed: Deed) -> Line:
        """It as the trail has it: of what was changed, the kinds and how many."""
        changed = ", ".join(f"{kind} {number}" for kind, number in sorted(self.changed.items()))
        told = ": ".join(filter(None, [deed.object, changed])) or None
        return Line(self.first, self.last, self.requests, *deed._replace(object=told))


class Trail:
    """The audit trail of one API process."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = system_clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._waiting: dict[Deed, _Count] = {}
        self._written: set[Deed] = set()
        self._ends = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._fails = False
        self._closing = asyncio.Event()
        self._under_way: set[Callable[[], None]] = set()

    @contextmanager
    def under_way(self, cut_off: Callable[[], None]) -> Iterator[None]:
        """A request, of which ``close`` says that it was cut off unless it has ended before."""
        self._under_way.add(cut_off)
        try:
            yield
        finally:
            self._under_way.discard(cut_off)

    async def begin(self, deed: Deed) -> None:
        """Write that something is about to be done, which may be done then.

        Raises ProblemError 503 while that is impossible.
        """
        now = self._clock()
        try:
            await self._write([Line(now, now, 1, *deed._replace(outcome=BEGUN))])
        except Exception as error:
            self._tell(error)
            raise refusals.untold() from None

    async def record(self, deed: Deed) -> None:
        """Write a line at once; while that is impossible it is counted, and told in the log."""
        now = self._clock()
        try:
            await self._write([Line(now, now, 1, *deed)])
        except asyncio.CancelledError:
            self.note(deed)
            raise
        except Exception as error:  # the log has it, whatever becomes of this process
            _log.error(
                "an action is not in the audit trail yet",
                token=deed.token,
                address=deed.address,
                action=deed.action,
                object=deed.object,
                outcome=deed.outcome,
                error=name_of(error),
            )
            self.note(deed)

    def note(self, deed: Deed, changed: Mapping[str, int] = _NOTHING) -> None:
        """Count a deed, and how much it ``changed`` of each kind; it is written soon."""
        if self._seconds() >= self._ends:
            self._ends = self._seconds() + _WINDOW_S
            self._written.clear()
        if not self._has_room(deed):
            deed = deed.shortened()
        now = self._clock()
        count = self._waiting.setdefault(deed, _Count(now))
        count.last = now
        count.requests += 1
        count.changed.update(changed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def flush(self) -> None:
        """Write what waits and is the first of its kind, without the pause for more."""
        await self._flush([deed for deed in self._waiting if deed not in self._written])

    async def close(self) -> None:
        """Write what waits, as far as that is possible within seconds."""
        for cut_off in tuple(self._under_way):
            cut_off()
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._flush(list(self._waiting))

    def _has_room(self, deed: Deed) -> bool:
        if deed in self._waiting or deed in self._written:
            return True
        kinds = self._waiting.keys() | self._written
        known = deed.token is not None
        same = sum((kind.token is not None) == known for kind in kinds)
        return same < (_KNOWN if known else _OTHERS)

    async def _run(self) -> None:
        while self._waiting and not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _PAUSE_S)
            over = self._seconds() >= self._ends
            await self._flush([deed for deed in self._waiting if over or deed not in self._written])

    async def _flush(self, deeds: list[Deed]) -> None:
        if not deeds:
            return
        counts = [(deed, self._waiting.pop(deed)) for deed in deeds]
        lines = [count.line(deed) for deed, count in counts]
        try:
            await self._write(lines)
        except BaseException as error:  # whatever it is, no line is lost
            for deed, count in counts:
                self._put_back(deed, count)
            if not isinstance(error, Exception):
                raise
            self._tell(error)
        else:
            self._written.update(deeds)
            self._tell(None)

    def _put_back(self, deed: Deed, count: _Count) -> None:
        newer = self._waiting.setdefault(deed, count)
        if newer is not count:
            newer.first = count.first
            newer.requests += count.requests
            newer.changed.update(count.changed)

    def _tell(self, error: BaseException | None) -> None:
        if error is not None and not self._fails:
            _log.error("the audit trail cannot be written", error=name_of(error))
        self._fails = error is not None

    async def _write(self, lines: list[Line]) -> None:
        async with asyncio.timeout(_LIMIT_S), self._database.look() as connection:
            await trail_store.add(connection, lines)
