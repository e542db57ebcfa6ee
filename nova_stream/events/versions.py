"""Numbers of versions: a hybrid clock in microseconds for callers that have none of their own, and
the place of a record among those of all lives of its topic.
``storage/apply/fold.py`` compares them.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Lock

from nova_stream.clock import EPOCH, Clock

#: Offsets of a topic that was made again outrank those before: the generation stands above
#: this many bits of the version's number (2^44 records a partition, 2^19 generations).
GENERATION_BITS = 44

_MICROSECOND = timedelta(microseconds=1)


def generation_number(offset: int, generation: int) -> int:
    """The version's number of an offset in the topic's ``generation``-th life."""
    return (generation << GENERATION_BITS) + offset


def offset_of_place(place: int) -> int:
    """The offset in a partition of what ``generation_number`` gave; -1 where it was unknown."""
    offset = place % (1 << GENERATION_BITS)
    return offset if offset + 1 < 1 << GENERATION_BITS else -1


class HybridClock:
    """Gives version numbers that follow the clock and always rise, even when the clock does not.

    Safe to use from several threads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._lock = Lock()

    def next(self) -> int:
        """Microseconds since the Unix epoch, greater than every number given before."""
        with self._lock:
            self._last = max((self._clock() - EPOCH) // _MICROSECOND, self._last + 1)
            return self._last
