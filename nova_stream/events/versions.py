"""Versions for callers that have none of their own: a hybrid clock in microseconds."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock

from nova_stream.clock import EPOCH, Clock
from nova_stream.errors import RejectedError
from nova_stream.events.envelope import MAX_VERSION

_MICROSECOND = timedelta(microseconds=1)


class HybridClock:
    """Gives version numbers that follow the clock and always rise, even when the clock does not.

    Safe to use from several threads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._lock = Lock()

    def next(self) -> int:
        """Microseconds since the Unix epoch, greater than every number given or observed before.

        Raises RejectedError ``bad_version`` when none is left below 2^63.
        """
        with self._lock:
            number = max((self._clock() - EPOCH) // _MICROSECOND, self._last + 1)
            if number > MAX_VERSION:
                raise RejectedError(
                    "bad_version", f"no version is left above {self._last}, which somebody has used"
                )
            self._last = number
            return number

    def observe(self, number: int) -> None:
        """Makes ``next`` give only numbers above ``number``, which somebody else has given."""
        with self._lock:
            self._last = max(self._last, number)
