"""Connections that are ready for flushes before the first one comes."""

from __future__ import annotations

from typing import Any

import pytest

from nova_stream.events.change import Entity
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.apply.ready import make_ready
from nova_stream.storage.database import connect
from tests.integration.storage.chunks import value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

_PREPARED = "SELECT name, statement FROM pg_prepared_statements"
_WRITTEN = "SELECT c.xmin, c.ctid, s.xmin, s.ctid FROM build_stats_cache c, stream_positions s"


@pytest.mark.parametrize("version", ["seq", "lsn"])
async def test_a_flush_of_each_entity_finds_its_upsert_and_its_end_planned(
    desk: Desk, version: str
) -> None:
    more = {Entity.AGENTS: {"name": "MARS"}, Entity.BUILDS: {"status": "running"}}

    def change(entity: Entity, number: int) -> bytes:
        fields: dict[str, Any] = {"id": "x", "agent": "MARS", "status": "done", "duration": 1}
        source: Any = {version: number}
        return value_of(fields | more.get(entity, {}), **source)

    for entity in Entity:
        await desk.put(entity, change(entity, 1))
    ready = await connect(desk.settings, "ready", flush=True)
    await make_ready(ready)
    known = {row["name"] for row in await ready.fetch(_PREPARED)}
    for entity in Entity:
        desk.add(entity, change(entity, 2))
        await Flush(ready, [desk.chunk(entity, 1)], desk.expected).run()
    new = [row for row in await ready.fetch(_PREPARED) if row["name"] not in known]
    await ready.close()
    assert [row for row in new if row["name"].startswith("nova_")] == []
    assert [row for row in new if "ON CONFLICT" in row["statement"]] == []


async def test_making_ready_writes_nothing_and_locks_nothing_afterwards(desk: Desk) -> None:
    await desk.put(Entity.BUILDS, value_of({"id": "b", "status": "running"}, seq=1))
    before = await desk.connection.fetch(_WRITTEN)
    ready = await connect(desk.settings, "ready", flush=True)
    await make_ready(ready)
    assert not ready.is_in_transaction()
    await ready.close()
    assert await desk.connection.fetch(_WRITTEN) == before


async def test_a_connection_that_cannot_be_made_ready_is_closed(desk: Desk) -> None:
    await desk.connection.execute("ALTER TABLE tasks RENAME TO gone")
    ready = await connect(desk.settings, "ready", flush=True)
    try:
        with pytest.raises(Exception, match="tasks"):
            await make_ready(ready)
    finally:
        await desk.connection.execute("ALTER TABLE gone RENAME TO tasks")
    assert ready.is_closed()
