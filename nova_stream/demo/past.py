"""What happened in the two days before the demo began, so that there is something to compare."""

# ruff: noqa: S311  (a story needs no secrets)

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

import msgspec

from nova_stream.clock import EPOCH, Clock, to_millis
from nova_stream.demo.cast import FADED_USERS, GOT_SLOWER, USERS
from nova_stream.demo.story import Build
from nova_stream.demo.time import Wait
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine

_LENGTH = timedelta(days=2)
_YESTERDAY = timedelta(days=1)
_BUILD_EVERY = timedelta(minutes=10)
#: Between two looks at the clock, on average: some four a change, beside what is waited for.
_STEP_S = 0.05


def past_events(clock: Clock) -> Iterator[ChangeLine]:
    """Every document of the builds that began and ended in the two days before now, as it is now.

    When a task was finished is told by its change alone: before what it is now comes the change
    that made it so, at its own time. All else has its times in the document, and is as new as it is
    told. Which builds there are follows from the time, so that a demo that begins again soon tells
    the same ones once more.
    """
    now = clock()
    first = (now - _LENGTH - EPOCH) // _BUILD_EVERY + 1
    for number in range(first, (now - EPOCH) // _BUILD_EVERY):
        documents = _documents(number, now)
        for change in documents.values():
            if change.entity is Entity.TASKS:
                yield change
            yield msgspec.structs.replace(change, op="r", ts_ms=to_millis(clock()))


def _documents(number: int, now: datetime) -> dict[str, ChangeLine]:
    """The last changes of a build's documents, by id; none where it has not ended by ``now``."""
    random = Random(number)
    begun = EPOCH + number * _BUILD_EVERY
    time = [begun]

    def clock() -> datetime:
        time[0] += timedelta(seconds=random.uniform(0, 2 * _STEP_S))
        return time[0]

    user = f"user-{random.randrange(USERS - FADED_USERS):02}"
    paces = {} if begun > now - _YESTERDAY else GOT_SLOWER
    build = Build(f"b-past-{number}", user, random, clock, paces=paces)
    told = {}
    for step in build.tell():
        if isinstance(step, Wait):
            time[0] = max(time[0], step.until)
        else:
            told[step.id] = step
    return told if time[0] < now else {}
