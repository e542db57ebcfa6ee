"""The thread's assignment: translated once for each that aiokafka has, and always that one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from nova_stream.stream import fetch_thread
from nova_stream.stream.fetch_thread import FetchThread


@pytest.fixture
def thread() -> Any:
    found = object.__new__(FetchThread)
    found._ensure_consumer = lambda: SimpleNamespace(assignment=lambda: found.given)
    return found


def assigned(*numbers: int) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition("nova.tasks", number) for number in numbers)


def test_it_is_what_aiokafka_has_at_each_moment(thread: Any) -> None:
    for numbers in ((0, 1), (1,), (), (0, 1)):
        thread.given = assigned(*numbers)
        assert thread.assignment() == {TP("nova.tasks", number) for number in numbers}


def test_it_is_translated_once(thread: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    thread.given = assigned(*range(256))
    thread.assignment()
    monkeypatch.setattr(fetch_thread, "ensure_TPset", None)
    assert len(thread.assignment()) == 256


def test_a_set_that_may_change_is_translated_at_each_call(thread: Any) -> None:
    thread.given = set(assigned(0))
    assert len(thread.assignment()) == 1
    thread.given.update(assigned(1))
    assert len(thread.assignment()) == 2
