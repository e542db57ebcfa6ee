"""Topics of flattened records: what deletes, in which order, and where tombstones do not."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from nova_stream.events.change import Entity
from nova_stream.storage.apply import positions
from tests.integration.storage.chunks import value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS
NULLS: tuple[bytes | None, ...] = (None, b"null", b'{"schema":{"type":"struct"},"payload":null}')


def row(id_: str, agent: str = "ATLAS", **marks: Any) -> bytes:
    return json.dumps({"id": id_, "status": "done", "agent": agent, **marks}).encode()


def key(id_: str) -> bytes:
    return json.dumps({"id": id_}).encode()


async def alive(desk: Desk, id_: str) -> bool:
    query = "SELECT deleted_at IS NULL FROM tasks WHERE id = $1"
    return bool(await desk.connection.fetchval(query, id_))


async def put(desk: Desk, id_: str, *values: bytes | None, **more: Any) -> None:
    await desk.put(TASKS, *values, key=key(id_), **more)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("version", [None, "__lsn", "__source_seq"])
@pytest.mark.parametrize("together", [False, True])
async def test_a_null_after_a_row_deletes_it_and_a_later_row_brings_it_back(
    desk: Desk, null: bytes | None, version: str | None, together: bool
) -> None:
    def marks(add: int) -> dict[str, Any]:
        return {} if version is None else {version: 50 + add}

    def values(id_: str) -> list[bytes | None]:
        return [row(id_, **marks(0)), null, row(id_, "MARS", **marks(9)), null]

    for end, is_alive in enumerate((True, False, True, False), 1):
        if together:
            await put(desk, f"t-{end}", *values(f"t-{end}")[:end])
            assert await alive(desk, f"t-{end}") is is_alive
        else:
            await put(desk, "t", values("t")[end - 1])
            assert await alive(desk, "t") is is_alive
    assert await desk.dead() == []


@pytest.mark.parametrize("deletion", [{}, {"__lsn": None}, {"__lsn": 60}])
async def test_a_row_marked_as_deleted_deletes_with_and_without_a_version(
    desk: Desk, deletion: dict[str, Any]
) -> None:
    await put(desk, "t", row("t", __lsn=50, __deleted="false"))
    await put(desk, "t", row("t", __deleted="true", **deletion), None)
    assert not await alive(desk, "t")
    assert await desk.dead() == []


async def test_a_tombstone_with_its_version_in_headers_is_put_in_order_by_that(desk: Desk) -> None:
    await put(desk, "t", row("t", __lsn=50))
    await put(desk, "t", None, partition=1, headers=[("__op", b"d"), ("__lsn", b"40")])
    assert await alive(desk, "t")
    await put(desk, "t", None, partition=1, headers=[("__op", b"d"), ("__lsn", b"60")])
    assert not await alive(desk, "t")
    await put(desk, "t", row("t", __lsn=55))
    assert not await alive(desk, "t")


async def test_a_tombstone_is_ignored_where_records_have_envelopes(desk: Desk) -> None:
    kept = value_of({"id": "t", "status": "done", "agent": "ATLAS"}, seq=7)
    old = value_of(None, before={"id": "t"}, seq=5)
    await put(desk, "t", kept)
    await put(desk, "t", old, None)
    await put(desk, "t", None)
    assert await alive(desk, "t")
    assert await desk.dead() == []


async def test_a_stray_row_of_another_kind_of_version_does_not_make_a_topic_flattened(
    desk: Desk,
) -> None:
    await put(desk, "t", value_of({"id": "t", "status": "done"}, seq=7))
    await put(desk, "u", row("u"), None)
    await put(desk, "t", None)
    assert await alive(desk, "t")
    assert await desk.dead() == [("tasks", 0, 1, "version_kind")]


async def test_a_deletion_whose_place_tells_nothing_is_told(desk: Desk) -> None:
    await put(desk, "t", row("t", __lsn=50))
    await put(desk, "t", None, partition=1)
    assert await alive(desk, "t")
    assert await desk.dead() == [("tasks", 1, 0, "unknown_version")]


async def test_a_deletion_is_of_after_everything_of_the_topics_earlier_life(desk: Desk) -> None:
    await put(desk, "t", row("t", __lsn=50))
    await put(desk, "u", row("u", __lsn=51), partition=1)
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "a")
    await positions.recognise(desk.connection, topic, "b")
    desk.logs.clear()
    desk.add(TASKS, row("v", __lsn=60), None, partition=1, key=key("t"))
    await desk.flush(desk.chunk(TASKS, partition=1, generation=1))
    assert not await alive(desk, "t")
    assert await alive(desk, "u")
    assert await desk.dead() == []


async def test_a_deletion_of_what_nobody_knows_changes_nothing(desk: Desk) -> None:
    await put(desk, "u", row("u", __lsn=50))
    await put(desk, "t", None, row("t", __deleted="true"))
    assert await desk.dead() == []
    assert await desk.connection.fetchval("SELECT count(*) FROM tasks") == 1


async def test_a_tombstone_without_an_id_is_told_only_where_it_would_delete(desk: Desk) -> None:
    await desk.put(TASKS, value_of({"id": "t", "status": "done"}, seq=7), None, key=b'{"n":1}')
    assert await desk.dead() == []
    await desk.put(Entity.USERS, b'{"id":"u","email":"x"}', None, key=b'{"n":1}')
    assert await desk.dead() == [("users", 0, 1, "missing_id")]


async def test_deletions_without_a_version_do_not_decide_a_topics_kind(desk: Desk) -> None:
    await put(desk, "t", row("t", __deleted="true"), b"null")
    await put(desk, "t", row("t", __lsn=50), b"null")
    assert not await alive(desk, "t")
    assert await desk.dead() == []


async def test_a_topic_made_again_is_not_taken_for_flattened(desk: Desk) -> None:
    await put(desk, "t", row("t"), None)
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "a")
    await positions.recognise(desk.connection, topic, "b")
    query = "SELECT flattened FROM stream_topics WHERE topic = $1"
    assert await desk.connection.fetchval(query, topic) is False


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("with_lsns", [False, True])
async def test_whatever_the_source_does_the_rows_are_its_rows(
    desk: Desk, with_lsns: bool, seed: int
) -> None:
    """Random histories in random chunks, each deletion in a random form."""
    dice = random.Random(seed)
    source: dict[str, str] = {}
    lsn = 100
    for step in range(300):
        id_ = f"t-{dice.randrange(5)}"
        partition = int(id_[2:]) % 2
        lsn += dice.randrange(1, 5)
        marks: dict[str, Any] = {"__lsn": lsn} if with_lsns else {}
        if id_ in source and dice.random() < 0.4:
            del source[id_]
            form = dice.randrange(5)
            gone: list[bytes | None] = [row(id_, __deleted="true", **marks)]
            headers = [("__op", b"d"), ("__lsn", str(lsn).encode())] if form == 4 else []
            if form < 3:
                gone = [NULLS[form]]
            elif form == 3:
                gone.append(None)
            desk.add(
                TASKS,
                *gone,
                partition=partition,
                key=key(id_),
                headers=headers if with_lsns else [],
            )
        else:
            source[id_] = f"agent-{step}"
            desk.add(TASKS, row(id_, source[id_], **marks), partition=partition, key=key(id_))
        if dice.random() < 0.1 or step == 299:
            await flush_all(desk)
    rows = await desk.connection.fetch("SELECT id, agent FROM tasks WHERE deleted_at IS NULL")
    assert {r["id"]: r["agent"] for r in rows} == source
    assert await desk.dead() == []


async def flush_all(desk: Desk) -> None:
    """Flush what has come to every log, in one transaction."""
    chunks = []
    for (entity, partition), log in desk.logs.items():
        await positions.ensure(desk.connection, [(desk.settings.topic(entity), partition)])
        start = (await desk.position(entity, partition)).next_offset
        if start < len(log):
            chunks.append(desk.chunk(entity, start, partition=partition))
    await desk.flush(*chunks)
