"""When a change of the source is known to have been applied, and when it is not."""

from __future__ import annotations

import asyncio

from nova_stream.source_audit.barrier import Barrier, Offsets
from nova_stream.source_audit.interface import Reader

_KEY = ("nova.tasks", 0)


class _World:
    """A clock, a connector's slot, a log and a stream, set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.readers: list[Reader] = []
        self.newest: int | None = None
        self.end = 10
        self.position = 10
        self.barrier = Barrier(self, self._readers, lambda: self.now, settle=30)

    async def _readers(self) -> list[Reader]:
        return self.readers

    async def log_ends(self) -> Offsets:
        return {_KEY: self.end}

    async def positions(self) -> Offsets:
        return {_KEY: self.position}

    async def newest_version(self) -> int | None:
        return self.newest

    def look(self, seconds: float = 0) -> None:
        self.now += seconds
        asyncio.run(self.barrier.look())

    def passed(self, mark: int, *, by_sign: bool = True) -> bool:
        return self.barrier.passed(mark, by_sign=by_sign)


def test_without_any_sign_the_settling_time_is_waited_for_and_then_the_log() -> None:
    world = _World()
    mark = world.barrier.mark(100)
    world.look(29)
    assert not world.passed(mark)
    world.position = 9
    world.look(1)
    assert not world.passed(mark)
    world.position = 10
    world.look(1)
    assert world.passed(mark)
    assert world.passed(mark, by_sign=False)


def test_a_slot_that_has_confirmed_the_place_is_a_sign() -> None:
    world = _World()
    world.readers = [Reader("mine", 99, active=True)]
    mark = world.barrier.mark(100)
    world.look(1)
    world.readers = [Reader("mine", 100, active=True), Reader("other", 99, active=True)]
    world.look(1)
    world.readers = [Reader("mine", 100, active=True), Reader("other", 100, active=True)]
    world.look(1)
    assert not world.passed(mark), "Kafka may not have it yet"
    world.end, world.position = 12, 11
    world.look(2)
    assert not world.passed(mark), "the stream has not applied it"
    world.position = 12
    world.look()
    assert world.passed(mark)
    assert not world.passed(mark, by_sign=False), "of rows with other versions it tells nothing"


def test_a_later_change_that_was_applied_is_a_sign() -> None:
    world = _World()
    world.readers = [Reader("idle", 5, active=True)]
    mark = world.barrier.mark(100)
    world.newest = 99
    world.look(2)
    world.look(2)
    assert not world.passed(mark)
    world.newest = 100
    world.look(3)
    world.look(2)
    assert world.passed(mark)


def test_a_slot_that_moves_is_waited_for_and_one_that_stands_is_named() -> None:
    world = _World()
    world.readers = [Reader("slow", 0, active=True)]
    mark = world.barrier.mark(100)
    for position in (10, 20, 30, 40):
        world.readers = [Reader("slow", position, active=True)]
        world.look(20)
        assert not world.passed(mark)
    world.look(29)
    assert not world.passed(mark)
    assert world.barrier.is_waiting()
    world.look(2)
    world.look()
    assert world.passed(mark)
    assert not world.barrier.is_waiting()
    assert world.barrier.complaints(unsettled=0, found=0) == []
    (line,) = world.barrier.complaints(unsettled=0, found=1)
    assert "slow has confirmed all but 60 bytes" in line


def test_a_slot_that_never_comes_is_not_waited_for_without_end() -> None:
    world = _World()
    mark = world.barrier.mark(10**9)
    for second in range(0, 150, 10):
        world.readers = [Reader("slow", second, active=True)]
        world.look(10)
    world.look()
    assert world.passed(mark)


def test_a_stream_that_stands_is_named() -> None:
    world = _World()
    world.barrier.mark(None)
    world.position = 0
    world.look(31)
    world.look(60)
    assert world.barrier.stands()
    (line,) = world.barrier.complaints(unsettled=3, found=0)
    assert "is a worker running" in line
