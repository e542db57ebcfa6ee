"""Waiting for a position: nothing more comes of a former life; a new one is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping

import pytest

from nova_stream.api.positions import PositionWatch, PresentTopics
from nova_stream.api.problems import problem_of
from nova_stream.errors import (
    KafkaUnavailableError,
    PositionNotReachedError,
    RejectedError,
    TryAgainError,
)
from nova_stream.kafka.model import FoundTopic
from nova_stream.publish.position_token import PositionToken
from nova_stream.storage.stats.read import ReachedPositions

T = "nova.tasks"
PARTITIONS = 5000


class Kafka:
    """Says which life the topic is in; ``looks`` counts how often it was asked."""

    def __init__(self, life: str | None) -> None:
        self.life = life
        self.looks = 0
        self.away = False

    async def topics(self, topics: Collection[str]) -> Mapping[str, FoundTopic]:
        self.looks += 1
        await asyncio.sleep(0)
        if self.away:
            raise KafkaUnavailableError("away")
        return {} if self.life is None else {T: FoundTopic(self.life, PARTITIONS)}


class Watch(PositionWatch):
    """Looks at ``stands`` instead of a database."""

    def __init__(self, kafka: Kafka, life: str | None, offset: int) -> None:
        super().__init__(None, PresentTopics(kafka.topics, [T]))  # type: ignore[arg-type]
        self.stands = (life, offset)
        self.looks = 0
        self.trouble: Exception | None = None

    async def _look(self) -> ReachedPositions:
        self.looks += 1
        await asyncio.sleep(0.001)
        if self.trouble is not None:
            raise self.trouble
        life, offset = self.stands
        return ReachedPositions({(T, 0): offset}, {T: life})


def token(offset: int, life: str | None = None) -> PositionToken:
    return PositionToken({T: {0: offset}}, {} if life is None else {T: life})


async def answer(watch: Watch, asked: PositionToken) -> bool:
    try:
        await watch.wait(asked, 0.0)
    except PositionNotReachedError:
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
    with pytest.raises(PositionNotReachedError) as caught:
        await Watch(Kafka("b"), "a", 9).wait(token(5, "b"), 0.0)
    told = caught.value
    assert told.behind == [{"topic": T, "partition": 0, "nextOffset": 0, "wanted": 5}]
    assert PositionToken.decode(told.position) == token(9, "a")


# -- what those who wait cost ----------------------------------------------------------------------


def long_token(offset: int) -> PositionToken:
    """All partitions are reached but the last."""
    return PositionToken({T: dict.fromkeys(range(PARTITIONS - 1), 0) | {PARTITIONS - 1: offset}})


async def test_many_who_wait_with_long_tokens_leave_the_loop_to_others() -> None:
    watch = Watch(Kafka("a"), "a", 0)
    asked = [asyncio.create_task(watch.wait(long_token(1), 30, n)) for n in range(40)]
    await asyncio.sleep(0.5)
    looks, began, worked = watch.looks, time.monotonic(), time.thread_time()
    await asyncio.sleep(0.5)
    took = time.monotonic() - began
    assert time.thread_time() - worked < took / 4
    assert watch.looks - looks <= took * 100 + 1  # one for all of them
    assert not any(task.done() for task in asked)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await watch.close()


async def test_each_waits_for_what_it_has_not_seen_yet_alone() -> None:
    watch = Watch(Kafka("a"), "a", 0)
    offsets = (1, 5, 9)
    waiting = [asyncio.create_task(watch.wait(token(offset), 30)) for offset in offsets]
    for stands in range(10):
        watch.stands, looks = ("a", stands), watch.looks
        while watch.looks < looks + 3 and not waiting[-1].done():  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(0.005)
        assert [task.done() for task in waiting] == [offset <= stands for offset in offsets]
    await asyncio.gather(*waiting)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (PositionToken({T: {0: 1}, "other.topic": {0: 0}}), "other.topic"),
        (PositionToken({T: {PARTITIONS: 0}}), f"partition {PARTITIONS}"),
        (PositionToken({T: {PARTITIONS: 0}}, {T: "a"}), f"partition {PARTITIONS}"),
    ],
)
async def test_what_there_is_not_is_refused(asked: PositionToken, named: str) -> None:
    with pytest.raises(RejectedError, match=named) as refused:
        await Watch(Kafka("a"), "a", 5).wait(asked, 30)
    assert refused.value.reason == "bad_token"


async def test_partitions_are_not_judged_by_another_life_nor_while_kafka_is_away() -> None:
    kafka = Kafka("b")
    former = PositionToken({T: {PARTITIONS: 3}}, {T: "a"})
    assert await answer(Watch(kafka, "b", 0), former)  # nothing of it can come any more
    kafka.away = True
    assert not await answer(Watch(kafka, "b", 0), PositionToken({T: {PARTITIONS: 3}}))


async def test_a_caller_and_all_together_wait_only_so_often() -> None:
    watch = Watch(Kafka("a"), "a", 0)
    waiting: list[asyncio.Task[None]] = []

    async def refusal(asked: PositionToken, caller: object) -> tuple[int, str | None]:
        with pytest.raises((TryAgainError, PositionNotReachedError)) as refused:
            await watch.wait(asked, 0.0, caller)
        problem = problem_of(refused.value)
        assert problem.headers.keys() == {"Retry-After"} or problem.status == 504
        return problem.status, problem.kind

    async def wait(asked: PositionToken, caller: object, times: int) -> None:
        waiting.extend(asyncio.create_task(watch.wait(asked, 30, caller)) for _ in range(times))
        await asyncio.sleep(0.05)

    await wait(token(9), "greedy", 375)
    assert await refusal(token(9), "greedy") == (429, "too-many-waiting")
    assert await refusal(token(9), "other") == (504, "position-not-reached")
    await wait(token(9), "other", 125)
    assert await refusal(token(9), "third") == (503, "too-many-waiting")
    with pytest.raises(PositionNotReachedError):  # what the API itself waits for
        await watch.wait(token(9), 0.0)
    watch.stands = ("a", 9)
    await asyncio.gather(*waiting)

    watch.stands = ("a", 0)
    waiting.clear()
    await wait(long_token(9), "greedy", 30)
    assert await refusal(long_token(9), "greedy") == (429, "too-many-waiting")
    await wait(long_token(9), "other", 10)
    assert await refusal(long_token(9), "other") == (503, "too-many-waiting")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await watch.close()


async def test_a_look_that_fails_is_told_to_all_who_wait_and_made_once() -> None:
    watch = Watch(Kafka("a"), "a", 0)
    waiting = [asyncio.create_task(watch.wait(token(1), 30)) for _ in range(50)]
    await asyncio.sleep(0.05)
    watch.trouble, looks = OSError("away"), watch.looks
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(error) for error in found} == {"away"}
    assert watch.looks <= looks + 2
    watch.trouble = None
    assert not await answer(watch, token(1))


async def test_who_waits_is_answered_when_the_server_stops_and_so_is_who_comes_later() -> None:
    watch = Watch(Kafka("a"), "a", 1)
    token = PositionToken({T: {0: 2}}, {T: "a"})
    waits = asyncio.create_task(watch.wait(token, 60))
    await asyncio.sleep(0)
    watch.end()
    for waiting in (waits, watch.wait(token, 60)):
        with pytest.raises(TryAgainError) as refused:
            await asyncio.wait_for(waiting, 5)
        assert refused.value.kind == "stopping"
    await watch.close()
