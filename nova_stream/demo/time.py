"""Time in the demo: when things happen, and at what pace they are published."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from nova_stream.clock import EPOCH, Clock, from_millis, to_millis
from nova_stream.events.times import time_text

#: Seconds between two looks at what is due: short enough to seem even, long enough for batches.
_TICK_S = 0.02
#: Seconds of traffic that are caught up at most: after a long pause of Kafka the rest is left out.
_CATCH_UP_S = 2.0


class Wait(NamedTuple):
    """That nothing happens until then, since something takes its time."""

    since: datetime
    until: datetime

    def over(self, now: datetime) -> bool:
        """Whether it is over at ``now``."""
        return self.until <= now

    def share(self, now: datetime) -> float:
        """How much of it is over at ``now``, from 0 to 1."""
        if self.over(now):
            return 1.0
        return max((now - self.since) / (self.until - self.since), 0.0)


#: The wait of what waits for nothing.
NO_WAIT = Wait(EPOCH, EPOCH)


class Stopwatch:
    """The time by ``clock``, as documents write it; the text is made once a millisecond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._millis = -1
        self._text = ""

    def millis(self) -> int:
        """Milliseconds since the Unix epoch."""
        return to_millis(self._clock())

    def now(self) -> str:
        """``2026-02-20T12:00:00.000Z``."""
        millis = self.millis()
        if millis != self._millis:
            self._millis, self._text = millis, time_text(from_millis(millis))
        return self._text


class Pace:
    """How many events are due, so that ``rate`` a second go out on average; times in seconds."""

    def __init__(self, rate: float, start: float) -> None:
        self._rate = rate
        self._start = start
        self._sent = 0

    def due(self, now: float) -> int:
        """Events to send now: one at least, since ``wait`` has said that it is time."""
        behind = (now - self._start) * self._rate - self._sent
        most = max(_CATCH_UP_S * self._rate, 1.0)
        if behind > most:
            self._start += (behind - most) / self._rate
            behind = most
        return max(int(behind), 1)

    def sent(self, count: int) -> None:
        """Note that ``count`` events have gone out."""
        self._sent += count

    def wait(self, now: float) -> float:
        """Seconds until ``due`` is to be asked again, 0 when that is already late."""
        next_ones = max(self._rate * _TICK_S, 1.0)
        return max(self._start + (self._sent + next_ones) / self._rate - now, 0.0)
