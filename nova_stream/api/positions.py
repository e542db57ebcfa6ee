"""Waiting until the caches show what somebody has published (read your own writes)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Literal

from nova_stream.api.database import Database
from nova_stream.api.problems import stopping
from nova_stream.errors import (
    KafkaUnavailableError,
    PositionNotReachedError,
    RejectedError,
    TryAgainError,
)
from nova_stream.events.describe import quoted
from nova_stream.kafka.model import FoundTopic
from nova_stream.publish.position_token import PositionToken
from nova_stream.storage.stats import read
from nova_stream.storage.stats.read import ReachedPositions

#: Seconds between two looks; also how old the look may be that several requests share.
_INTERVAL_S = 0.01
#: The same for looks at Kafka, which are only needed around a topic that was made again.
_KAFKA_INTERVAL_S = 0.25
#: Requests that wait at a time, and partitions that their tokens name; one caller has three
#: quarters of either.
_MOST_WAITING, _MOST_PARTITIONS = 500, 200_000
#: The API's own waiting, for what it has published itself.
_OURS = object()

#: Gives those of some topics that exist in Kafka now; KafkaUnavailableError when it does not
#: answer.
AskTopics = Callable[[Collection[str]], Awaitable[Mapping[str, FoundTopic]]]


class PresentTopics:
    """The topics as Kafka has them, asked once for all who wait at a moment."""

    def __init__(self, ask: AskTopics, topics: Collection[str]) -> None:
        self.names = frozenset(topics)
        self._ask = ask
        self._lock = asyncio.Lock()
        self._found: Mapping[str, FoundTopic] | None = None
        self._asked_at = float("-inf")

    async def since(self, moment: float) -> Mapping[str, FoundTopic] | None:
        """As they were at a look that began after ``moment`` (monotonic); None when Kafka is away
        or does not answer.
        """
        async with self._lock:
            if self._asked_at < moment:
                asked_at = time.monotonic()
                try:
                    self._found = await self._ask(self.names)
                except KafkaUnavailableError:
                    self._found = None
                self._asked_at = asked_at
            return self._found


class _Waiter:
    """One who waits: what of the token is not there yet, and what has to happen before that is
    worth another look.
    """

    def __init__(self, token: PositionToken, timeout: float, caller: object) -> None:
        self.token = token
        self.caller = caller
        self.asked_at = time.monotonic()
        self.deadline = self.asked_at + timeout
        self.size = sum(map(len, token.positions.values()))
        self.turn: asyncio.Future[ReachedPositions | Exception] | None = None
        #: The topic that holds it up, and the life in which it was looked at.
        self.topic = ""
        self.life: str | None = None
        #: When to look again although nothing has happened: at first, as soon as there is a look.
        self.again_at = self.asked_at
        self._left: dict[str, tuple[str | None, list[tuple[int, int]]]] = {}

    def has(self, topic: str, reached: ReachedPositions) -> bool:
        """Whether all offsets of a topic are reached, in the life that the stream knows. What was
        once is not looked at again: positions only rise in a life.
        """
        life = reached.lives.get(topic)
        seen, left = self._left.get(topic, (None, None))
        if left is None or seen != life:
            left = list(self.token.positions[topic].items())
            self._left[topic] = (life, left)
        while left and reached.offsets.get((topic, left[-1][0]), 0) >= left[-1][1]:
            left.pop()
        return not left

    def held_up(self, topic: str, life: str | None, again: float = float("inf")) -> Literal[False]:
        """It waits for ``topic``, known in this life; after ``again`` seconds it looks anyway."""
        self.topic, self.life = topic, life
        self.again_at = min(self.deadline, time.monotonic() + again)
        return False

    def is_due(self, reached: ReachedPositions, now: float) -> bool:
        """Whether anything has changed for it; costs the same however long its token is."""
        if now >= self.again_at or reached.lives.get(self.topic) != self.life:
            return True
        left = self._left[self.topic][1]
        return bool(left) and reached.offsets.get((self.topic, left[-1][0]), 0) >= left[-1][1]


class PositionWatch:
    """Looks at the stream's position for all who wait, once an interval however many they are;
    ``close`` it.
    """

    def __init__(self, database: Database, present: PresentTopics) -> None:
        self._database = database
        self._present = present
        self._reached = ReachedPositions({}, {})
        self._looked_at = self._rest_until = float("-inf")
        self._waiting: dict[_Waiter, None] = {}
        self._ended = False
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, token: PositionToken, timeout: float, caller: object = _OURS) -> None:
        """Return once everything up to ``token`` is in the caches that can come there.

        Of a former life of a topic nothing can come any more; a life that the stream has not
        recognised yet is waited for. Without a life the present one is meant. Raises RejectedError
        for a topic or a partition that there is not, PositionNotReachedError after ``timeout``
        seconds, TryAgainError when ``caller``, or all together, wait too often, or the server
        stops.
        """
        for topic in token.positions.keys() - self._present.names:
            raise _not_there(f"it names {quoted(topic)}, which is no topic of this stream")
        waiter = _Waiter(token, timeout, caller)
        self._enter(waiter)
        try:
            reached = await self._first(waiter)
            await self._check_partitions(waiter, reached)
            while not await self._has(waiter, reached):
                if time.monotonic() >= waiter.deadline:
                    raise _not_reached(token, reached, timeout)
                reached = await self._turn(waiter)
        finally:
            del self._waiting[waiter]

    def end(self) -> None:
        """Answer all who wait, and who will, that the server stops: it waits for their answers."""
        self._ended = True
        for waiter in self._waiting:
            if waiter.turn is not None and not waiter.turn.done():
                waiter.turn.set_result(stopping())

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    # -- who waits ---------------------------------------------------------------------------------

    def _enter(self, waiter: _Waiter) -> None:
        if waiter.caller is not _OURS:
            mine = [other for other in self._waiting if other.caller == waiter.caller]
            if mine and _are_too_many([*mine, waiter], 3 / 4):
                raise _too_many("of this caller ", own_share=True)
            if _are_too_many([*self._waiting, waiter]):
                raise _too_many("")
        self._waiting[waiter] = None

    async def _first(self, waiter: _Waiter) -> ReachedPositions:
        # Positions only rise in a life, so that a shared look can be late but never wrong.
        if time.monotonic() - self._looked_at < _INTERVAL_S:
            return self._reached
        return await self._turn(waiter)

    async def _turn(self, waiter: _Waiter) -> ReachedPositions:
        """The look that has something for this waiter."""
        if self._ended:
            raise stopping()
        waiter.turn = asyncio.get_running_loop().create_future()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run())
        found = await waiter.turn
        if isinstance(found, Exception):
            raise found
        return found

    # -- looking -----------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._rest_until - time.monotonic())
            started = time.monotonic()
            found: ReachedPositions | Exception
            try:
                found = self._reached = await self._look()
            except Exception as error:  # whatever it is, those who wait for it are told
                found = error
            else:
                self._looked_at = started
            ended = time.monotonic()
            # Where a look takes long, Postgres gets a rest of as long.
            self._rest_until = max(started + _INTERVAL_S, 2 * ended - started)
            for waiter in self._waiting:
                turn = waiter.turn
                if turn is None or turn.done():
                    continue
                if isinstance(found, Exception) or waiter.is_due(found, ended):
                    turn.set_result(found)

    async def _look(self) -> ReachedPositions:
        async with self._database.look() as connection:
            return await read.reached(connection)

    async def _has(self, waiter: _Waiter, reached: ReachedPositions) -> bool:
        """Whether the token is reached, topic by topic."""
        token = waiter.token
        moment = max(waiter.asked_at, time.monotonic() - _KAFKA_INTERVAL_S)
        for topic in token.positions:
            known = reached.lives.get(topic)
            meant = token.lives.get(topic)
            there = waiter.has(topic, reached)
            if known is None or meant == known or (meant is None and not there):
                if not there:
                    return waiter.held_up(topic, known)
                continue
            # The offsets are of another life, or perhaps are: Kafka has the present one.
            present = await self._present.since(waiter.asked_at if meant is None else moment)
            if present is None:
                # Kafka is away: with what is known the answer is what it was before.
                if meant is None:
                    continue
                return waiter.held_up(topic, known, _KAFKA_INTERVAL_S)
            found = present.get(topic)
            if meant is None and found is not None and found.id != known:
                return waiter.held_up(topic, known)  # the stream has not recognised it yet
            if meant is not None and found is not None and found.id == meant:
                return waiter.held_up(topic, known, _KAFKA_INTERVAL_S)
        return True

    async def _check_partitions(self, waiter: _Waiter, reached: ReachedPositions) -> None:
        """Raise RejectedError for a partition that Kafka does not have."""
        for topic, wanted in waiter.token.positions.items():
            highest = max(wanted, default=-1)
            if highest < 0 or (topic, highest) in reached.offsets:
                continue
            present = await self._present.since(waiter.asked_at - _KAFKA_INTERVAL_S)
            found = None if present is None else present.get(topic)
            if (
                found is not None
                and highest >= found.partitions
                and waiter.token.lives.get(topic) in (None, found.id)
            ):
                raise _not_there(
                    f"it names partition {highest} of {topic}, which has {found.partitions}"
                )


def _are_too_many(waiting: Collection[_Waiter], share: float = 1) -> bool:
    return (
        len(waiting) > _MOST_WAITING * share
        or sum(waiter.size for waiter in waiting) > _MOST_PARTITIONS * share
    )


def _not_there(what: str) -> RejectedError:
    return RejectedError(
        "bad_token", f"this position token cannot be reached: {what}; give one of this stream"
    )


def _too_many(whose: str, *, own_share: bool = False) -> TryAgainError:
    detail = f"Too many requests {whose}wait for a position token (?after=); try again."
    return TryAgainError("too-many-waiting", detail, own_share=own_share)


def _not_reached(
    token: PositionToken, reached: ReachedPositions, timeout: float
) -> PositionNotReachedError:
    current: dict[str, dict[int, int]] = {}
    behind: list[dict[str, str | int]] = []
    for (topic, partition), wanted in token.offsets():
        meant, known = token.lives.get(topic), reached.lives.get(topic)
        offset = reached.offsets.get((topic, partition), 0)
        current.setdefault(topic, {})[partition] = offset
        if meant is not None and known is not None and meant != known:
            offset = 0  # in the life that is meant nothing is applied
        if offset < wanted:
            behind.append(
                {"topic": topic, "partition": partition, "nextOffset": offset, "wanted": wanted}
            )
    lives = {topic: life for topic in current if (life := reached.lives.get(topic)) is not None}
    return PositionNotReachedError(
        f"The stream has not come to this token within {timeout:g} s. It goes on: ask again, or "
        "look whether a worker runs.",
        PositionToken(current, lives).encode(),
        behind,
    )
