"""Where the lag goes, and how many workers would hold it: told from the last minutes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

Trend = Literal["falling", "steady", "growing", "unknown"]

_KEEP_UP = "The workers keep up."
#: Why the trend is unknown.
_NO_WORKER = "Nothing is applied: no worker runs."
_NO_LAG = "Not known: Kafka does not tell how many records wait."
_TOO_LITTLE = "Not known yet: it takes what workers have measured for half a minute."
_ONLY_JUST = "Not known yet: the records that wait have only just come."

#: What is looked at.
RECENT = timedelta(minutes=2)
#: From fewer moments, or a shorter time, nothing is told; nor once the last is so old.
_FEWEST = 4
_SHORTEST_S = 30.0
_OLD = timedelta(seconds=40)
#: Where no worker stored anything for so long, what was before tells nothing of now.
_GAP = timedelta(seconds=25)
#: A lag of fewer records, or of what is applied in so many seconds, is none to speak of.
_FEW = 100
_PASSING_S = 1.0
#: The share of the lag by which it must change to fall or grow.
_MOVED = 0.05


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A few ``seconds`` from ``at`` on: records that waited (None: not known), records applied, and
    the seconds that workers ran, together.
    """

    at: datetime
    seconds: float
    lag: float | None
    applied: int
    worker_seconds: float

    @property
    def pace(self) -> float:
        """Records applied a second."""
        return self.applied / self.seconds if self.seconds else 0.0


class Outlook(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Where the lag goes. While that is not known, ``trend`` is ``unknown``, ``advice`` says why,
    and all else is null.
    """

    advice: Annotated[
        str, msgspec.Meta(description="The same in a sentence, or why nothing is known.")
    ]
    trend: Trend = "unknown"
    lag_per_second: Annotated[
        float | None,
        msgspec.Meta(description="Records a second by which the lag grows; below 0 it falls."),
    ] = None
    applied_per_second: Annotated[
        float | None, msgspec.Meta(description="Records a second that all workers apply.")
    ] = None
    worker_per_second: Annotated[
        float | None,
        msgspec.Meta(
            description="Records a second that one worker applies while records wait; null where "
            "none waited."
        ),
    ] = None
    caught_up_seconds: Annotated[
        float | None, msgspec.Meta(description="Until no record waits, while the lag falls.")
    ] = None
    workers_wanted: Annotated[
        int | None,
        msgspec.Meta(
            description="Workers that would hold the lag while it grows; at most as many as a "
            "topic has partitions. Null when there is no need."
        ),
    ] = None


def outlook(
    moments: Sequence[Moment], lag: float | None, most: int, now: datetime, workers: int | None
) -> Outlook:
    """The outlook at ``now``, when ``lag`` records wait (None: Kafka does not tell) and ``workers``
    run, from ``moments``, oldest first; at most ``most`` workers have anything to do.
    """
    moments = _unbroken(moments)
    known = [(m.at.timestamp() + m.seconds, m.lag) for m in moments if m.lag is not None]
    if lag is not None:
        known.append((now.timestamp(), lag))
    too_few = len(known) < _FEWEST or known[-1][0] - known[0][0] < _SHORTEST_S
    if workers == 0 or too_few or now - moments[-1].at > _OLD:
        return Outlook(advice=_why_unknown(workers, lag))
    seconds = sum(m.seconds for m in moments)
    pace = sum(m.applied for m in moments) / seconds if seconds else 0.0
    slope = median((b - a) / (t - s) for (s, a), (t, b) in combinations(known, 2) if t > s)
    last, lags = known[-1][1], [each for _, each in known]
    few = max(_FEW, pace * _PASSING_S)
    change = slope * (known[-1][0] - known[0][0])
    found = Outlook(
        trend="steady",
        advice=_KEEP_UP,
        lag_per_second=_rounded(slope),
        applied_per_second=_rounded(pace),
        worker_per_second=_worker_pace(moments),
    )
    if last <= few:
        return found
    if abs(change) < max(few, _MOVED * max(lags)):
        if median(lags) <= few:  # it has only just come
            return Outlook(advice=_ONLY_JUST)
        return _short_of_workers(found, 0.0, pace, last, moments, most)
    if change > 0:
        found = replace(found, trend="growing")
        return _short_of_workers(found, slope, pace, last, moments, most)
    left = last / -slope
    words = f"The lag falls by {_rate(-slope)}: caught up in {_about(left)}."
    return replace(found, trend="falling", caught_up_seconds=_rounded(left), advice=words)


def _why_unknown(workers: int | None, lag: float | None) -> str:
    if workers == 0:
        return _NO_WORKER
    return _NO_LAG if lag is None else _TOO_LITTLE


def _unbroken(moments: Sequence[Moment]) -> Sequence[Moment]:
    """The last of them, since workers went on after there were none."""
    begin = 0
    for place in range(1, len(moments)):
        if moments[place].at - moments[place - 1].at > _GAP:
            begin = place
    return moments[begin:]


def _worker_pace(moments: Sequence[Moment]) -> float | None:
    """What one worker applies a second at the times when it had all the work that it could do."""
    busy = [m for m in moments if m.lag is not None and m.lag > max(_FEW, m.pace * _PASSING_S)]
    ran, applied = sum(m.worker_seconds for m in busy), sum(m.applied for m in busy)
    return _rounded(applied / ran) if len(busy) > 1 and ran and applied else None


def _short_of_workers(
    found: Outlook, slope: float, pace: float, lag: float, moments: Sequence[Moment], most: int
) -> Outlook:
    """With what would help while the lag grows, or stays where it is."""
    grows = found.trend == "growing"
    words = (
        f"The lag grows by {_rate(slope)}"
        if grows
        else f"The lag stays at about {lag:,.0f} records"
    )
    each = found.worker_per_second
    if not each:
        unknown = "what one worker can do is not known yet"
        why = unknown if _rounded(pace) else "nothing is applied"
        return replace(found, advice=f"{words}; {why}.")
    present = round(sum(m.worker_seconds for m in moments) / sum(m.seconds for m in moments))
    # As much as comes; and, of a lag that stays, more than that.
    wanted = max(math.ceil((pace + slope) / each), present + 1)
    words += f"; one worker applies about {each:,.0f}/s"
    if present >= most:
        words += (
            f", and more than {_workers(most)} have no partition to read: see what slows them, or "
            "make more partitions."
        )
        return replace(found, advice=words)
    held = "hold it" if grows else "catch up"
    if wanted > most:
        words += f": {_workers(most)}, as many as a topic has partitions, would not {held}."
    else:
        words += f": {_workers(wanted)} would {held}."
    return replace(found, workers_wanted=min(wanted, most), advice=words)


def _rounded(number: float) -> float:
    return round(number, 1)


def _rate(number: float) -> str:
    return f"{number:,.0f} records/s" if number >= 10 else f"{number:.1f} records/s"


def _workers(number: int) -> str:
    return "1 worker" if number == 1 else f"{number} workers"


def _about(seconds: float) -> str:
    """A time in one unit, as people say it."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {max(1, round(seconds))} s"
