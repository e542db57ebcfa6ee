"""The consumer's assignment: translated once for each that aiokafka has, and always that one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from nova_stream.stream import fetching
from nova_stream.stream.fetching import FetchService


@pytest.fixture
def service() -> Any:
    found = object.__new__(FetchService)
    found._ensure_consumer = lambda: SimpleNamespace(assignment=lambda: found.given)
    return found


def assigned(*numbers: int) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition("nova.tasks", number) for number in numbers)


def test_it_is_what_aiokafka_has_at_each_moment(service: Any) -> None:
    for numbers in ((0, 1), (1,), (), (0, 1)):
        service.given = assigned(*numbers)
        assert service.assignment() == {TP("nova.tasks", number) for number in numbers}


def test_it_is_translated_once(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service.given = assigned(*range(256))
    service.assignment()
    monkeypatch.setattr(fetching, "ensure_TPset", None)
    assert len(service.assignment()) == 256


def test_a_set_that_may_change_is_translated_at_each_call(service: Any) -> None:
    service.given = set(assigned(0))
    assert len(service.assignment()) == 1
    service.given.update(assigned(1))
    assert len(service.assignment()) == 2
