"""Waiting for a position: nothing more comes of a former life; a new one is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from nova_stream.api.positions import PositionWatch, PresentLives
from nova_stream.api.problems import ProblemError
from nova_stream.errors import KafkaUnavailableError
from nova_stream.publish.position_token import PositionToken
from nova_stream.storage.stats.read import ReachedPositions

T = "nova.tasks"


class Kafka:
    """Says which life the topic is in; ``looks`` counts how often it was asked."""

    def __init__(self, life: str | None) -> None:
        self.life = life
        self.looks = 0
        self.away = False

    async def lives(self, topics: Collection[str]) -> Mapping[str, str]:
        self.looks += 1
        await asyncio.sleep(0)
        if self.away:
            raise KafkaUnavailableError("away")
        return {} if self.life is None else {T: self.life}


class Watch(PositionWatch):
    """Looks at ``stands`` instead of a database."""

    def __init__(self, kafka: Kafka, life: str | None, offset: int) -> None:
        super().__init__(None, PresentLives(kafka.lives, [T]))  # type: ignore[arg-type]
        self.stands = (life, offset)

    async def _look(self) -> ReachedPositions:
        life, offset = self.stands
        return ReachedPositions({(T, 0): offset}, {T: life})


def token(offset: int, life: str | None = None) -> PositionToken:
    return PositionToken({T: {0: offset}}, {} if life is None else {T: life})


async def answer(watch: Watch, asked: PositionToken) -> bool:
    try:
        await watch.wait(asked, 0.0)
    except ProblemError as error:
        assert error.status == 504
        return False
    return True


@pytest.mark.parametrize(
    ("meant", "known", "present", "offset", "reached"),
    [
        ("a", "a", "a", 5, True),
        ("a", "a", "a", 4, False),
        ("a", "a", "b", 5, True),  # applied before the topic was made again
        ("b", "a", "b", 9, False),  # the stream has not seen the new life yet
        ("a", "b", "b", 0, True),  # nothing of the former life can come any more
        ("a", "b", "c", 0, True),
        ("a", "b", None, 0, True),
        (None, "a", "a", 5, True),
        (None, "a", "a", 4, False),
        (None, "a", "b", 9, False),
        (None, None, "a", 5, True),
        ("a", None, "a", 4, False),
    ],
)
async def test_a_token_counts_in_the_life_that_it_means(
    meant: str | None, known: str | None, present: str | None, offset: int, reached: bool
) -> None:
    watch = Watch(Kafka(present), known, offset)
    assert await answer(watch, token(5, meant)) == reached


@pytest.mark.parametrize("meant", ["new", None])
async def test_a_new_life_is_waited_for_until_it_is_recognised_and_applied(
    meant: str | None,
) -> None:
    watch = Watch(Kafka("new"), "old", 100)
    waiting = asyncio.create_task(watch.wait(token(3, meant), 30))
    for stands in (("old", 100), ("new", 0), ("new", 2)):
        watch.stands = stands
        await asyncio.sleep(0.03)
        assert not waiting.done()
    watch.stands = ("new", 3)
    await asyncio.wait_for(waiting, 5)


async def test_while_kafka_is_away_a_token_without_a_life_counts_as_far_as_is_known() -> None:
    kafka = Kafka("a")
    kafka.away = True
    assert await answer(Watch(kafka, "a", 5), token(5))
    assert not await answer(Watch(kafka, "a", 5), token(5, "b"))


async def test_kafka_is_asked_only_where_lives_may_differ_and_once_for_all_who_wait() -> None:
    kafka = Kafka("a")
    watch = Watch(kafka, "a", 5)
    assert await answer(watch, token(5, "a"))
    assert not await answer(watch, token(6))
    assert kafka.looks == 0
    assert all(await asyncio.gather(*(answer(watch, token(5)) for _ in range(50))))
    assert kafka.looks <= 2


async def test_what_is_behind_is_told_in_the_life_that_is_meant() -> None:
    with pytest.raises(ProblemError) as caught:
        await Watch(Kafka("b"), "a", 9).wait(token(5, "b"), 0.0)
    told: dict[str, Any] = caught.value.more
    assert told["behind"] == [{"topic": T, "partition": 0, "nextOffset": 0, "wanted": 5}]
    assert PositionToken.decode(told["position"]) == token(9, "a")
