"""Waiting until the caches show what somebody has published (read your own writes)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping

from nova_stream.api.database import Database
from nova_stream.api.problems import ProblemError
from nova_stream.errors import KafkaUnavailableError
from nova_stream.publish.position_token import PositionToken
from nova_stream.storage.stats import read
from nova_stream.storage.stats.read import ReachedPositions

#: Seconds between two looks; also how old the look may be that several requests share.
_INTERVAL_S = 0.01
#: The same for looks at Kafka, which are only needed around a topic that was made again.
_KAFKA_INTERVAL_S = 0.25

#: Gives the ids of those of some topics that exist in Kafka now; KafkaUnavailableError when it does
#: not answer.
AskLives = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]


class PresentLives:
    """The topics' ids in Kafka, asked once for all who wait at a moment."""

    def __init__(self, ask: AskLives, topics: Collection[str]) -> None:
        self._ask = ask
        self._topics = topics
        self._lock = asyncio.Lock()
        self._found: Mapping[str, str] | None = None
        self._asked_at = float("-inf")

    async def since(self, moment: float) -> Mapping[str, str] | None:
        """As they were at a look that began after ``moment`` (monotonic); None when Kafka is away
        or does not answer.
        """
        async with self._lock:
            if self._asked_at < moment:
                asked_at = time.monotonic()
                try:
                    self._found = await self._ask(self._topics)
                except KafkaUnavailableError:
                    self._found = None
                self._asked_at = asked_at
            return self._found


class PositionWatch:
    """Looks at the stream's position for all who wait, once an interval however many they are."""

    def __init__(self, database: Database, present: PresentLives) -> None:
        self._database = database
        self._present = present
        self._lock = asyncio.Lock()
        self._reached = ReachedPositions({}, {})
        self._looked_at = float("-inf")

    async def wait(self, token: PositionToken, timeout: float) -> None:
        """Return once everything up to ``token`` is in the caches that can come there.

        Of a former life of a topic nothing can come any more; a life that the stream has not
        recognised yet is waited for. Without a life the present one is meant. Raises ProblemError
        504 with the current position after ``timeout`` seconds.
        """
        asked_at = time.monotonic()
        deadline = asked_at + timeout
        while True:
            reached = await self._look()
            left = deadline - time.monotonic()
            if await self._has(token, reached, asked_at):
                return
            if left <= 0:
                raise _not_reached(token, reached, timeout)
            await asyncio.sleep(min(_INTERVAL_S, left))

    async def _has(self, token: PositionToken, reached: ReachedPositions, asked_at: float) -> bool:
        """Whether the token is reached, topic by topic."""
        moment = max(asked_at, time.monotonic() - _KAFKA_INTERVAL_S)
        for topic, wanted in token.positions.items():
            known = reached.lives.get(topic)
            meant = token.lives.get(topic)
            there = all(reached.offsets.get((topic, p), 0) >= o for p, o in wanted.items())
            if known is None or meant == known or (meant is None and not there):
                if not there:
                    return False
                continue
            # The offsets are of another life, or perhaps are: Kafka has the present one.
            present = await self._present.since(asked_at if meant is None else moment)
            if present is None:
                # Kafka is away: with what is known the answer is what it was before.
                if meant is None:
                    continue
                return False
            if (meant is None and present.get(topic, known) != known) or (
                meant is not None and present.get(topic) == meant
            ):
                return False  # the stream has not recognised it yet
        return True

    async def _look(self) -> ReachedPositions:
        async with self._lock:
            # Positions only rise in a life, so that a shared look can be late but never wrong.
            if time.monotonic() - self._looked_at >= _INTERVAL_S:
                started = time.monotonic()
                async with self._database.look() as connection:
                    self._reached = await read.reached(connection)
                self._looked_at = started
            return self._reached


def _not_reached(token: PositionToken, reached: ReachedPositions, timeout: float) -> ProblemError:
    current: dict[str, dict[int, int]] = {}
    behind = []
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
    return ProblemError(
        504,
        "position-not-reached",
        f"The stream has not come to this token within {timeout:g} s. It goes on: ask again, or "
        "look whether a worker runs.",
        position=PositionToken(current, lives).encode(),
        behind=behind,
    )
