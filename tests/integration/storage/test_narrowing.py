"""What Postgres refuses is narrowed down to the record, and all others of the batch are applied.

The decoder keeps most of this poison away; here it is put behind the decoder on purpose.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import structlog

from nova_stream.clock import system_clock
from nova_stream.errors import DatabaseUnavailableError, GapError, GenerationError, RevokedError
from nova_stream.events.change import Change, Entity
from nova_stream.storage.apply import positions
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.database import Connection, connect
from nova_stream.stream.flusher import Flusher
from nova_stream.stream.metrics import Metrics
from tests.integration.storage.chunks import value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

TASKS, RUNS = Entity.TASKS, Entity.EXECUTIONS


def task(id_: str, seq: int = 1) -> bytes:
    return value_of({"id": id_, "agent": "MARS", "status": "done"}, seq=seq)


def run(id_: str) -> bytes:
    return value_of({"id": id_, "agent": "MARS", "duration": 1}, seq=1)


@asynccontextmanager
async def flushing(
    desk: Desk, opened: Callable[[], Awaitable[Any]] | None = None
) -> AsyncIterator[Flusher]:
    opened = opened or (lambda: connect(desk.settings, "flush", flush=True))
    flusher = Flusher(opened, desk.expected, Metrics(), system_clock, 8000)
    task = asyncio.create_task(flusher.run())
    try:
        yield flusher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def submit(desk: Desk, flusher: Flusher, *chunks: Chunk) -> list[Any]:
    """What became of each chunk: what was applied, or the error."""
    await positions.ensure(desk.connection, [chunk.key for chunk in chunks])
    futures = [flusher.submit(chunk, lambda: True) for chunk in chunks]
    return await asyncio.gather(*futures, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)


def with_poison(chunk: Chunk, place: int, **fields: Any) -> Chunk:
    """The chunk with fields of one change replaced."""
    changes = list(chunk.changes)
    changes[place] = msgspec.structs.replace(changes[place], **fields)
    return msgspec.structs.replace(chunk, changes=changes)


def typed(change: Change, column: int, value: Any) -> tuple[Any, ...]:
    return (*change.values[:column], value, *change.values[column + 1 :])


_random = random.Random(7)

POISON: dict[str, tuple[Entity, Callable[[Change], dict[str, Any]]]] = {
    "NUL in text": (TASKS, lambda c: {"values": typed(c, 1, "a\0b")}),
    "NUL in an id": (TASKS, lambda _: {"id": "a\0b"}),
    "NUL in jsonb": (TASKS, lambda _: {"doc": '{"x": "\\u0000"}'}),
    "an id of 10 kB": (
        TASKS,
        lambda _: {"id": "".join(chr(_random.randrange(0x4E00, 0x9FFF)) for _ in range(3500))},
    ),
    "deep nesting": (TASKS, lambda _: {"doc": "[" * 100_000 + "]" * 100_000}),
    "1e400000": (RUNS, lambda c: {"values": typed(c, 2, "1e400000")}),
    "1e400000 in jsonb": (TASKS, lambda _: {"doc": '{"x": 1e400000}'}),
    "no number": (RUNS, lambda c: {"values": typed(c, 2, "many")}),
    "no JSON": (TASKS, lambda _: {"doc": "{"}),
    "half a surrogate pair": (TASKS, lambda c: {"values": typed(c, 1, "\ud800")}),
    "half a surrogate pair in an id": (TASKS, lambda _: {"id": "\udc00"}),
    "half a surrogate pair in jsonb": (TASKS, lambda _: {"doc": '{"x": "\\ud800"}'}),
    "a version above 2^63 - 1": (TASKS, lambda _: {"number": 2**63}),
    "a minor above 2^31 - 1": (TASKS, lambda _: {"minor": 2**31}),
    "no time of the change": (TASKS, lambda _: {"changed_ms": None}),
    "a time that is none": (TASKS, lambda c: {"values": typed(c, 3, "noon")}),
    "a column too few": (TASKS, lambda c: {"values": c.values[:-1]}),
}


@pytest.mark.parametrize("name", POISON)
async def test_poison_is_a_dead_letter_and_all_around_it_is_applied(desk: Desk, name: str) -> None:
    entity, spoil = POISON[name]
    make = task if entity is TASKS else run
    desk.add(entity, *(make(f"x{n}") for n in range(20)))
    desk.add(TASKS, *(task(f"other {n}") for n in range(5)), partition=1)
    chunk = desk.chunk(entity)
    chunk = with_poison(chunk, 13, **spoil(chunk.changes[13]))
    async with flushing(desk) as flusher:
        first, second = await submit(desk, flusher, chunk, desk.chunk(TASKS, partition=1))
    assert (first.next_offset, second.next_offset, second.dead) == (20, 5, 0)
    assert await desk.dead() == [(entity.value, 0, 13, "unstorable")]
    rows = await desk.connection.fetch(
        f"SELECT id FROM {entity.value} WHERE src_partition = 0 ORDER BY src_offset"
    )
    assert [row["id"] for row in rows] == [f"x{n}" for n in range(20) if n != 13]
    assert (
        await desk.connection.fetchval("SELECT count(*) FROM tasks WHERE src_partition = 1")
    ) == 5


async def test_much_poison_in_several_chunks_leaves_everything_else(desk: Desk) -> None:
    dice = random.Random(5)
    wanted, chunks = [], []
    for partition in range(3):
        desk.add(TASKS, *(task(f"{partition} {n}") for n in range(100)), partition=partition)
        chunk = desk.chunk(TASKS, partition=partition)
        bad = sorted(dice.sample(range(100), 7))
        for place in bad:
            chunk = with_poison(chunk, place, doc="{")
        chunks.append(chunk)
        wanted += [("tasks", partition, place, "unstorable") for place in bad]
    async with flushing(desk) as flusher:
        results = await submit(desk, flusher, *chunks)
    assert [result.next_offset for result in results] == [100, 100, 100]
    assert sorted(await desk.dead()) == wanted
    assert await desk.connection.fetchval("SELECT count(*) FROM tasks") == 3 * 93


async def test_what_comes_back_after_narrowing_is_all_partials(desk: Desk) -> None:
    desk.add(TASKS, *(task(f"t{n}") for n in range(8)))
    chunk = with_poison(desk.chunk(TASKS), 2, doc="{")
    async with flushing(desk) as flusher:
        (applied,) = await submit(desk, flusher, chunk)
    assert applied.complete
    assert applied.partials["MARS"]["total_tasks"] == 7


async def test_an_unreadable_record_and_an_unstorable_one_are_two_dead_letters(
    desk: Desk,
) -> None:
    desk.add(TASKS, b"{", task("bad"), task("good"))
    chunk = with_poison(desk.chunk(TASKS), 0, doc="{")
    async with flushing(desk) as flusher:
        await submit(desk, flusher, chunk)
    assert sorted(await desk.dead()) == [
        ("tasks", 0, 0, "bad_json"),
        ("tasks", 0, 1, "unstorable"),
    ]


async def test_a_gap_is_handed_back_and_the_rest_of_the_batch_applied(desk: Desk) -> None:
    desk.add(TASKS, task("t0"), partition=0)
    desk.add(TASKS, task("t1"), task("t2"), partition=1)
    desk.add(TASKS, task("t3"), partition=2)
    chunks = [
        desk.chunk(TASKS, partition=0),
        desk.chunk(TASKS, 1, partition=1),
        desk.chunk(TASKS, partition=2, generation=3),
    ]
    async with flushing(desk) as flusher:
        first, second, third = await submit(desk, flusher, *chunks)
    assert first.next_offset == 1
    assert isinstance(second, GapError)
    assert isinstance(third, GenerationError)
    assert await desk.connection.fetchval("SELECT array_agg(id) FROM tasks") == ["t0"]


async def test_a_flush_whose_connection_is_cut_is_tried_again(desk: Desk) -> None:
    cut: list[int] = []

    async def opened() -> Any:
        connection = await connect(desk.settings, "flush", flush=True)
        if len(cut) < 3:
            cut.append(connection.get_server_pid())
            await desk.connection.execute("SELECT pg_terminate_backend($1)", cut[-1])
        return connection

    desk.add(TASKS, task("t"))
    with structlog.testing.capture_logs() as lines:
        async with flushing(desk, opened) as flusher:
            (applied,) = await submit(desk, flusher, desk.chunk(TASKS))
    assert applied.next_offset == 1
    assert len(cut) == 3
    assert [line["event"] for line in lines] == ["flush failed", "flush works again"]


async def test_waiting_ends_when_the_partition_is_taken_away(desk: Desk) -> None:
    tried = 0

    async def away() -> Connection:
        nonlocal tried
        tried += 1
        raise DatabaseUnavailableError("away")

    desk.add(TASKS, task("t"))
    chunk = desk.chunk(TASKS)
    ours = True
    async with flushing(desk, away) as flusher:
        future = flusher.submit(chunk, lambda: ours)
        await until(lambda: tried > 2)
        assert not future.done()
        ours = False
        with pytest.raises(RevokedError):
            await future


async def test_what_the_set_up_lacks_is_waited_for_and_told(desk: Desk) -> None:
    desk.add(TASKS, task("t"))
    await desk.connection.execute("ALTER TABLE tasks RENAME TO hidden")
    with structlog.testing.capture_logs() as lines:
        async with flushing(desk) as flusher:
            pending = asyncio.create_task(submit(desk, flusher, desk.chunk(TASKS)))
            await until(lambda: bool(lines))
            await desk.connection.execute("ALTER TABLE hidden RENAME TO tasks")
            (applied,) = await pending
    assert applied.changes == 1
    assert [(line["event"], line.get("fault")) for line in lines] == [
        ("flush failed", "setup"),
        ("flush works again", None),
    ]
    assert await desk.dead() == []
