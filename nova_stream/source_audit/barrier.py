"""Knowing that what the source had committed before an instant has been applied by the stream.

Between the two lies a connector whose progress cannot be seen from outside for certain. Three
things tell of it: its replication slot, a later change of the source that has been applied, and
time. After one of them the logs' ends are noted, and the stream has to come to these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from nova_stream.source_audit.interface import Reader

#: Next offsets by topic and partition.
Offsets = Mapping[tuple[str, int], int]

#: Seconds between a sign that the connector has passed a place and Kafka having all before it: its
#: producer sends to several partitions at once.
_GRACE_S = 1.0
#: Seconds between two looks at the newest version, which reads all rows.
_LOOK_AGAIN_S = 3.0
#: How many times the settling time a slot that moves is waited for.
_PATIENCE = 5


class Progress(Protocol):
    """What the barrier asks of nova-stream and of Kafka."""

    async def log_ends(self) -> Offsets: ...
    async def positions(self) -> Offsets: ...
    async def newest_version(self) -> int | None:
        """The newest of the source's own positions that the rows have come to, None if none."""


class Mark(msgspec.Struct):
    """An instant at which the source was read, and how far the stream is known to be past it.

    ``seen_at`` is when a sign told that everything before was taken to Kafka, ``waited`` whether
    the settling time is over.
    """

    position: int | None
    at: float
    seen_at: float | None = None
    waited: bool = False
    ends: Offsets | None = None
    ends_waited: Offsets | None = None
    passed_by_sign: bool = False
    passed: bool = False


class Barrier:
    """Marks, and which of them the stream has passed.

    ``settle`` is how many seconds a change may take from the source into Kafka where nothing tells
    that it has got there; ``readers`` gives who takes the source's changes away; ``clock`` is a
    monotonic time in seconds.
    """

    def __init__(
        self,
        stream: Progress,
        readers: Callable[[], Awaitable[list[Reader]]],
        clock: Callable[[], float],
        settle: float,
    ) -> None:
        self._stream = stream
        self._readers = readers
        self._clock = clock
        self._settle = settle
        self._marks: list[Mark] = []
        self._slowest: tuple[int, float] | None = None
        self._newest: tuple[int | None, float] = (None, float("-inf"))
        self.behind: Reader | None = None

    @property
    def next_mark(self) -> int:
        """The number that ``mark`` gives next."""
        return len(self._marks)

    def mark(self, position: int | None) -> int:
        """Note that the source has been read up to ``position``; the mark's number."""
        self._marks.append(Mark(position, self._clock()))
        return len(self._marks) - 1

    def passed(self, number: int, *, by_sign: bool) -> bool:
        """Whether all from before the mark is applied. ``by_sign``: the positions of the source are
        the versions of the rows in question, so that a sign need not be waited for in full.
        """
        mark = self._marks[number]
        return mark.passed or (by_sign and mark.passed_by_sign)

    def is_waiting(self) -> bool:
        """Whether a slot that moves is waited for although the settling time is over."""
        now = self._clock()
        return any(
            not mark.waited and now - mark.at >= self._settle and mark.seen_at is None
            for mark in self._marks
        )

    def stands(self) -> bool:
        """Whether the stream has not come to what had to be in Kafka."""
        return any(mark.ends_waited is not None and not mark.passed for mark in self._marks)

    async def look(self) -> None:
        """See how far connector and stream have come; to be called again and again."""
        now = self._clock()
        waiting = [mark for mark in self._marks if not mark.passed]
        if not waiting:
            return
        reached = await self._reached(now)
        for mark in waiting:
            if mark.seen_at is None and mark.position is not None and reached is not None:
                mark.seen_at = now if reached >= mark.position else None
            mark.waited = mark.waited or self._is_over(mark, now)
        await self._note_ends(waiting, now)
        positions = await self._stream.positions()
        for mark in waiting:
            mark.passed_by_sign = mark.passed_by_sign or applied(mark.ends, positions)
            mark.passed = applied(mark.ends_waited, positions)

    def complaints(self, unsettled: int, found: int) -> list[str]:
        """What to know about the answer, a line each: a connector or a stream that is behind."""
        lines = []
        positions = [mark.position for mark in self._marks if mark.position is not None]
        behind = self.behind
        if found and behind is not None and positions and behind.position < positions[0]:
            missing = positions[0] - behind.position
            state = "" if behind.active else ", which is not active,"
            lines.append(
                f"{behind.what} {behind.name}{state} has confirmed all but {missing} "
                f"{behind.unit}: differences may be on their way in a connector that stands "
                "(one that runs is behind, too, while its tables are quiet)"
            )
        if unsettled and self.stands():
            lines.append(
                "the stream has not caught up with its topics: is a worker running? "
                "(nova-stream doctor)"
            )
        return lines

    async def _reached(self, now: float) -> int | None:
        """The place up to which the source's changes are certainly in Kafka, None if none is."""
        readers = await self._readers()
        slowest = min(readers, key=lambda reader: reader.position, default=None)
        self.behind = slowest
        if slowest is not None and (self._slowest is None or slowest.position > self._slowest[0]):
            self._slowest = (slowest.position, now)
        if now - self._newest[1] >= _LOOK_AGAIN_S:
            self._newest = (await self._stream.newest_version(), now)
        signs = [slowest.position if slowest else None, self._newest[0]]
        return max((sign for sign in signs if sign is not None), default=None)

    def _is_over(self, mark: Mark, now: float) -> bool:
        waited = now - mark.at
        if waited < self._settle:
            return False
        slow = self.behind
        if slow is None or mark.position is None or slow.position >= mark.position:
            return True
        # It is on its way as long as it moves; but not for ever.
        assert self._slowest is not None
        stands = now - self._slowest[1]
        return stands >= self._settle or waited >= self._settle * _PATIENCE

    async def _note_ends(self, marks: list[Mark], now: float) -> None:
        seen = [
            mark
            for mark in marks
            if mark.ends is None and mark.seen_at is not None and now - mark.seen_at >= _GRACE_S
        ]
        waited = [mark for mark in marks if mark.ends_waited is None and mark.waited]
        if not seen and not waited:
            return
        ends = await self._stream.log_ends()
        for mark in seen:
            mark.ends = ends
        for mark in waited:
            mark.ends_waited = ends
            mark.ends = mark.ends or ends


def applied(ends: Offsets | None, positions: Offsets) -> bool:
    """Whether ``ends`` are known, and the positions have come to all of them."""
    return ends is not None and all(positions.get(key, 0) >= end for key, end in ends.items())
