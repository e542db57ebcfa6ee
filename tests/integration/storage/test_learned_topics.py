"""What a flush knows of a topic: all that was committed before it has locked the positions."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nova_stream.events.change import Entity
from nova_stream.storage.apply import positions
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.database import connect
from tests.integration.storage.chunks import value_of
from tests.integration.storage.conftest import Desk
from tests.integration.storage.waits import WaitsBeforeItCommits, until_it_waits

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS


def change(lsn: int, status: str | None) -> bytes:
    """A change of a task, or its deletion."""
    more: dict[str, Any] = {"connector": "postgresql", "lsn": lsn}
    if status is None:
        return value_of(None, before={"id": "t"}, **more)
    return value_of({"id": "t", "agent": "MARS", "status": status}, **more)


async def is_alive(desk: Desk) -> bool:
    query = "SELECT deleted_at IS NULL FROM tasks WHERE id = 't'"
    return bool(await desk.connection.fetchval(query))


@pytest.mark.parametrize("other", [b"[]", None, b"{"])
async def test_a_flush_reads_all_partitions_by_the_kind_that_one_of_them_fixes(
    desk: Desk, other: bytes | None
) -> None:
    desk.add(TASKS, other)
    desk.add(TASKS, change(15, "ready"), change(15, None), partition=1)
    await desk.flush(desk.chunk(TASKS), desk.chunk(TASKS, partition=1))
    assert not await is_alive(desk)


async def test_a_partition_that_another_has_read_meanwhile_does_not_change_how_lsns_count(
    desk: Desk,
) -> None:
    desk.add(TASKS, value_of({"id": "x", "status": "done"}, connector="postgresql", lsn=3))
    desk.add(TASKS, change(15, "ready"), change(15, None), partition=1)
    await meet(desk, [desk.chunk(TASKS)], [desk.chunk(TASKS), desk.chunk(TASKS, partition=1)])
    assert not await is_alive(desk)


async def test_a_tombstone_deletes_although_another_has_read_the_row_before_it(
    desk: Desk,
) -> None:
    row = json.dumps({"id": "t", "agent": "MARS", "status": "done", "__lsn": 5}).encode()
    desk.add(TASKS, row, None, key=b'{"id":"t"}')
    await meet(desk, [desk.chunk(TASKS, 0, 1)], [desk.chunk(TASKS)])
    assert not await is_alive(desk)


async def meet(desk: Desk, first: list[Chunk], second: list[Chunk]) -> None:
    """Two workers flush; the second waits for positions that the first one holds."""
    other = await connect(desk.settings, "other", flush=True)
    await positions.ensure(desk.connection, [chunk.key for chunk in (*first, *second)])
    try:
        slow: Any = WaitsBeforeItCommits(desk.connection)
        one = asyncio.create_task(Flush(slow, first, desk.expected).run())
        await slow.about_to.wait()
        two = asyncio.create_task(Flush(other, second, {}).run())
        await until_it_waits(desk.settings, other.get_server_pid())
        slow.may.set()
        await asyncio.gather(one, two)
    finally:
        await other.close()
