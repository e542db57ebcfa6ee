"""A believable day of 21 agents: what it consists of, and publishing it at an even pace."""

# ruff: noqa: S311  (a story needs no secrets)

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

from nova_stream.clock import Clock, isoformat, system_clock, to_millis
from nova_stream.demo.cast import AGENTS, FADED_USERS, TIERS, USERS
from nova_stream.demo.past import past_events
from nova_stream.demo.story import Build, UnderWay
from nova_stream.demo.time import Pace, Wait
from nova_stream.errors import KafkaUnavailableError, PublishError
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine
from nova_stream.publish.position_token import PositionToken
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings
from nova_stream.telemetry import get_logger

#: Builds at once, and how many there may be where all of them wait.
_AT_ONCE = 8
_MOST_AT_ONCE = 64
_BATCH = 500  # changes of the past
_STALL_EVERY = timedelta(minutes=3)
#: How long after it began a stalled build is told of that has no tasks: checkStalledBuilds finds it
#: at its next run, and those that stand still midway half an hour later.
_STALLED_FOR = timedelta(minutes=50)
#: Then somebody clears up after it: what will not be done is no longer open.
_CLEARED_AFTER = timedelta(minutes=45)
_VISIT_S = 0.3  # of the builds: their user has just come back
_RETRY_PAUSE_S = 1.0


def demo_events(seed: int, clock: Clock) -> Iterator[ChangeLine]:
    """The changes of the demo, without end; each happens, by ``clock``, when it is asked for.

    First the agents and users, the same at every start; then builds, under ids that follow from
    the time of the start, so that a later start tells of new ones. Equal seeds and clocks give
    equal changes.
    """
    return _Day(seed, clock).tell()


async def run_demo(
    settings: Settings,
    rate: float,
    *,
    seed: int,
    clock: Clock = system_clock,
    limit: int | None = None,
    past: bool = False,
    after_past: Callable[[PositionToken], Awaitable[None]] | None = None,
) -> None:
    """Publish ``demo_events`` at ``rate`` a second on average: ``limit`` of them, or for ever.
    With ``past`` the agents and users come at once, and ``past_events`` after them; ``after_past``
    is then called with the token of all that.

    When Kafka goes away it waits, and goes on. Raises KafkaUnavailableError when Kafka is not
    there at the start, TopicError when the topics are not.
    """
    events = islice(demo_events(seed, clock), limit)
    now = asyncio.get_running_loop().time
    async with ChangePublisher(settings, source_name="demo", clock=clock) as publisher:
        if past:
            published = await _publish(publisher, list(islice(events, len(AGENTS) + USERS)))
            older = past_events(clock)
            while changes := list(islice(older, _BATCH)):
                published = published.merge(await _publish(publisher, changes))
            if after_past is not None:
                await after_past(published)
        pace = Pace(rate, now())
        while True:
            await asyncio.sleep(pace.wait(now()))
            changes = list(islice(events, pace.due(now())))
            if not changes:
                return
            await _publish(publisher, changes)
            pace.sent(len(changes))


async def _publish(publisher: ChangePublisher, changes: list[ChangeLine]) -> PositionToken:
    """Publish ``changes``, as often as it takes: a build without its middle is not believable."""
    waited = False
    while True:
        try:
            published = await publisher.publish(changes)
        except (PublishError, KafkaUnavailableError) as error:
            if not waited:
                get_logger(__name__).warning("demo_waits_for_kafka", error=str(error))
            waited = True
            await asyncio.sleep(_RETRY_PAUSE_S)
        else:
            break
    if waited:
        get_logger(__name__).warning("demo_goes_on")
    return published


class _Day:
    """Several builds at once, each going on when it is its turn."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self._random = Random(seed)
        self._clock = clock
        self._started = 0
        self._last_stall: datetime | None = None
        self._stalls = 0
        self._stalled: deque[tuple[datetime, Build]] = deque()

    def tell(self) -> Iterator[ChangeLine]:
        run = _base36(to_millis(self._clock()))
        for agent in AGENTS:
            yield self._snapshot(Entity.AGENTS, agent.document())
        for number in range(USERS):
            yield self._snapshot(Entity.USERS, self._user(number))
        under_way: list[UnderWay] = []
        while True:
            now = self._clock()
            turns = [build for build in under_way if build.wait.over(now)]
            if len(under_way) < (_AT_ONCE if turns else _MOST_AT_ONCE):
                yield from self._clear_up()
                visitor = self._random.randrange(USERS - FADED_USERS)
                if self._random.random() < _VISIT_S:
                    yield self._snapshot(Entity.USERS, self._user(visitor))
                under_way.append(UnderWay(self._build(run, visitor).tell()))
                continue
            # More events are wanted than come by themselves: time passes faster, for all alike.
            build = self._random.choice(turns or [max(under_way, key=lambda b: b.wait.share(now))])
            step = build.step()
            if step is None:
                under_way.remove(build)
            elif not isinstance(step, Wait):
                yield step

    def _build(self, run: str, visitor: int) -> Build:
        self._started += 1
        identity, user = f"b-{run}-{self._started}", f"user-{visitor:02}"
        now = self._clock()
        if self._started < _AT_ONCE or (
            self._last_stall is not None and now < self._last_stall + _STALL_EVERY
        ):
            return Build(identity, user, self._random, self._clock)

        self._last_stall = now
        self._stalls += 1
        if self._stalls % 2:
            begun = now - _STALLED_FOR
            return Build(identity, user, self._random, self._clock, stalled_since=begun)
        midway = Build(identity, user, self._random, self._clock, stalls=True)
        self._stalled.append((now, midway))
        return midway

    def _clear_up(self) -> Iterator[ChangeLine]:
        while self._stalled and self._stalled[0][0] + _CLEARED_AFTER < self._clock():
            yield from self._stalled.popleft()[1].block()

    def _user(self, number: int) -> dict[str, Any]:
        faded = number >= USERS - FADED_USERS
        last_seen = "2025-06-01T09:00:00.000Z" if faded else isoformat(self._clock())
        return {
            "id": f"demo-user-{number:02}",
            "userId": f"user-{number:02}",
            "email": f"user{number:02}@example.org",
            "tier": TIERS[number % len(TIERS)],
            "globalWisdomOptIn": number % 3 == 0,
            "createdAt": f"2025-05-{number % 28 + 1:02}T09:00:00.000Z",
            "lastActiveAt": last_seen,
        }

    def _snapshot(self, entity: Entity, document: dict[str, Any]) -> ChangeLine:
        return ChangeLine(
            entity=entity,
            id=document["id"],
            op="r",
            seq=None,
            minor=0,
            ts_ms=to_millis(self._clock()),
            after=document,
            before=None,
        )


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
