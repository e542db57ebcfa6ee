"""A publisher knows the life of the topic that it writes to, and looks again when it must."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from nova_stream.kafka import queries
from nova_stream.kafka.lives import TopicLives
from nova_stream.kafka.model import FoundTopic

CLIENT: Any = object()


class Cluster:
    """Stands for Kafka and for the clock."""

    def __init__(self) -> None:
        self.life = "a"
        self.looks = 0
        self.now = 0.0
        self.away = False

    async def describe(self, _client: Any, topics: Collection[str]) -> dict[str, FoundTopic]:
        self.looks += 1
        if self.away:
            raise KafkaConnectionError
        return {topic: FoundTopic(self.life, 1) for topic in topics} if self.life else {}

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()
    monkeypatch.setattr(queries, "describe", found.describe)
    monkeypatch.setattr(time, "monotonic", found.monotonic)
    return found


async def test_a_topic_is_looked_at_once_a_second_at_most(cluster: Cluster) -> None:
    known = TopicLives()
    for offset in range(50):
        assert await known.of(CLIENT, "t", {0: offset}) == "a"
        cluster.now += 0.05
    assert cluster.looks == 3


async def test_a_new_life_shows_within_a_second(cluster: Cluster) -> None:
    known = TopicLives()
    assert await known.of(CLIENT, "t", {0: 5}) == "a"
    cluster.life = "b"
    cluster.now += 1.1
    assert await known.of(CLIENT, "t", {1: 0}) == "b"


async def test_offsets_that_go_back_show_a_new_life_at_once(cluster: Cluster) -> None:
    known = TopicLives()
    await known.of(CLIENT, "t", {0: 5})
    cluster.now += 1.1
    assert await known.of(CLIENT, "t", {0: 6}) == "a"
    cluster.life = "b"
    assert await known.of(CLIENT, "t", {0: 0}) == "b"
    assert await known.of(CLIENT, "t", {0: 1}) == "b"
    assert cluster.looks == 3


async def test_what_cannot_be_told_is_none_and_asked_again(cluster: Cluster) -> None:
    known = TopicLives()
    cluster.away = True
    assert await known.of(CLIENT, "t", {0: 5}) is None
    cluster.away = False
    assert await known.of(CLIENT, "t", {0: 6}) == "a"
    known.forget("t")
    cluster.life = "b"
    assert await known.of(CLIENT, "t", {0: 7}) == "b"
