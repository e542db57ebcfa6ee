"""Room: never more than there is, nobody waits for ever, and no caller keeps the others out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_stream.api.budget import room as rooms
from nova_stream.api.budget.room import Holding, Room
from nova_stream.errors import TryAgainError

SIZE, SPARED = 24, 10


async def refused(taking: Holding, size: int) -> None:
    with pytest.raises(TryAgainError) as error:
        await taking.grow(size)
    assert error.value.kind == "busy"
    assert error.value.retry_after


async def test_a_caller_keeps_some_of_the_room_for_others() -> None:
    room = Room(100, 25, patience=0.05)
    greedy = [room.holding("greedy") for _ in range(3)]
    await greedy[0].grow(40)
    await refused(greedy[1], 40)
    other = room.holding("other")
    await other.grow(50)
    greedy[0].keep(0)
    await greedy[1].grow(20)
    greedy[1].keep(0)
    other.keep(0)
    await greedy[2].grow(1000)  # alone, or it would never be its turn
    greedy[2].keep(0)
    assert room.held == 0


async def test_those_who_wait_and_go_take_nothing_along() -> None:
    room = Room(100, 25, patience=60)
    one = room.holding("one")
    await one.grow(100)
    others = [room.holding(name) for name in ("two", "three")]
    waiting = [asyncio.create_task(other.grow(100)) for other in others]
    await asyncio.sleep(0)
    one.keep(0)  # its turn comes to "two"
    waiting[0].cancel()  # at the same moment
    await asyncio.gather(waiting[0], return_exceptions=True)
    await waiting[1]
    assert (room.held, others[1].held) == (100, 100)


async def test_callers_that_wait_have_their_turns_one_after_the_other() -> None:
    room = Room(100, 0, patience=60)
    first = room.holding("greedy")
    await first.grow(100)
    order: list[str] = []

    async def work(caller: str) -> None:
        mine = room.holding(caller)
        await mine.grow(100)
        order.append(caller)
        await asyncio.sleep(0)
        mine.keep(0)

    waiting = [asyncio.create_task(work("greedy")) for _ in range(20)]
    await asyncio.sleep(0)
    waiting += [asyncio.create_task(work(caller)) for caller in ("two", "three", "two")]
    await asyncio.sleep(0)
    first.keep(0)
    await asyncio.gather(*waiting)
    assert order[1:4].count("greedy") <= 1
    assert set(order[:4]) == {"greedy", "two", "three"}
    assert room.held == 0


async def test_a_caller_leaves_places_to_wait_to_others() -> None:
    room = Room(10, 0, patience=0.5, waiting=20)
    first = room.holding("first")
    await first.grow(10)
    greedy = [asyncio.create_task(room.holding("greedy").grow(10)) for _ in range(30)]
    await asyncio.sleep(0.05)
    assert sum(task.done() for task in greedy) == 15  # refused at once
    other = room.holding("other")
    waiting = asyncio.create_task(other.grow(10))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    found = await asyncio.gather(*greedy, waiting, return_exceptions=True)
    assert {getattr(error, "kind", None) for error in found} == {"busy"}
    assert room.held == 10


@pytest.fixture(scope="module")
def presses_soon() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "_PRESSING_S", 0.01)
        patch.setattr(rooms, "_SLOW_S", 0.02)
        yield


class Body(NamedTuple):
    """A body of some size, which says so or not, and stalls at some point or not."""

    caller: str
    size: int
    says: bool
    stalls: int | None


BODIES = st.lists(
    st.builds(
        Body,
        caller=st.sampled_from("abc"),
        size=st.integers(1, SPARED),
        says=st.booleans(),
        stalls=st.none(),
    ),
    min_size=1,
    max_size=12,
)
STALLING = st.lists(
    st.builds(
        Body,
        caller=st.sampled_from(["slow", "slow", "a"]),
        size=st.integers(1, SPARED),
        says=st.booleans(),
        stalls=st.integers(0, SPARED),
    ),
    max_size=12,
)


async def bring(room: Room, body: Body) -> None:
    taken = room.holding(body.caller)
    task = asyncio.current_task()
    assert task is not None
    claim = body.size if body.says else SPARED
    try:
        for size in range(1, body.size + 1):
            if body.stalls is not None and size > body.stalls:
                taken.on_press = lambda: (task.cancel(), None)[1]
                await asyncio.sleep(3600)
            await taken.grow(size, claim)
            assert room.held <= SIZE
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        taken.keep(0)


@given(BODIES, STALLING)
@settings(max_examples=60, deadline=None)
@pytest.mark.usefixtures("presses_soon")
async def test_bodies_come_to_their_end_whoever_else_stalls(
    bodies: list[Body], stalling: list[Body]
) -> None:
    """However they share what there is, none waits for another for ever: not those who come along,
    whatever they claim, and not for those that stall.
    """
    room = Room(SIZE, SPARED, patience=60)
    slow = [asyncio.create_task(bring(room, body)) for body in stalling]
    for _ in range(30):
        await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*(bring(room, body) for body in bodies)), 4)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert room.held == 0
