"""Records that nobody can apply end as dead letters, and what comes after them is applied."""

from __future__ import annotations

import base64
import json
import random
from typing import Any, NamedTuple

import pytest

from nova_stream.events.change import Entity
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage

pytestmark = pytest.mark.integration


def change(id_: str, seq: int = 1, **fields: Any) -> bytes:
    return value_of({"id": id_, "status": "done", **fields}, seq=seq)


def with_text(text: str, *, field: str = "title", id_: str = "poison") -> bytes:
    """A change that holds this JSON text where a value stands."""
    fields: dict[str, Any] = {field: "PLACE"}
    return change(id_, **fields).replace(b'"PLACE"', text.encode())


def with_bytes(raw: bytes, *, field: str) -> bytes:
    fields: dict[str, Any] = {field: "PLACE"}
    return change("poison", **fields).replace(b"PLACE", raw)


def execution(duration: str) -> bytes:
    value = value_of({"id": "poison", "agent": "MARS", "duration": 929}, seq=1)
    return value.replace(b"929", duration.encode())


class Poison(NamedTuple):
    value: bytes
    reason: str
    entity: Entity = Entity.TASKS
    key: bytes | None = b"k"


POISON = {
    "NUL in text": Poison(with_text('"a\\u0000b"'), "unstorable_text"),
    "NUL in an id": Poison(change("a\0b"), "unstorable_text"),
    "NUL in jsonb": Poison(with_text('{"deep": ["\\u0000"]}', field="x"), "unstorable_text"),
    "NUL in a key of jsonb": Poison(with_text('{"\\u0000": 1}', field="x"), "unstorable_text"),
    "an id of 10 kB": Poison(change("k" * 10_000), "id_too_long"),
    "an agent of 10 kB": Poison(change("poison", agent="k" * 10_000), "value_too_long"),
    "nesting of 10,000": Poison(with_text("[" * 10_000 + "]" * 10_000, field="x"), "too_deep"),
    "nesting of 200,000 objects": Poison(
        with_text('{"a":' * 200_000 + "1" + "}" * 200_000, field="x"), "too_deep"
    ),
    "1e400000 as duration": Poison(execution("1e400000"), "unstorable_number", Entity.EXECUTIONS),
    "1e400000 in an unknown field": Poison(with_text("1e400000", field="x"), "unstorable"),
    "a number of 200,000 digits": Poison(with_text("1" * 200_000, field="x"), "unstorable"),
    "half a surrogate pair": Poison(with_text('"\\ud800"'), "unstorable_text"),
    "half a surrogate pair in an unknown field": Poison(
        with_text('"\\ud800"', field="x"), "unstorable_text"
    ),
    "a key with half a surrogate pair": Poison(
        with_text('{"\\udc00": 1}', field="x"), "unstorable_text"
    ),
    "a version above 2^63 - 1": Poison(change("poison", seq=2**63), "bad_version"),
    "a minor above 2^31 - 1": Poison(
        value_of({"id": "poison", "status": "done"}, seq=1, minor=2**31), "bad_version"
    ),
    "a time that is none": Poison(change("poison", createdAt="soon"), "bad_time"),
    "10,000 random bytes": Poison(random.Random(1).randbytes(10_000), "bad_json"),
    "no bytes at all": Poison(b"", "bad_json"),
    "bytes that are no UTF-8": Poison(with_bytes(b"\xff\xfe", field="title"), "bad_json"),
    "no UTF-8 in an unknown field": Poison(with_bytes(b"\xff", field="x"), "bad_json"),
    "a bare control character": Poison(with_bytes(b"\x01", field="x"), "bad_json"),
    "a list": Poison(b"[1, 2]", "wrong_shape"),
    "a number": Poison(b"5", "wrong_shape"),
    "another object": Poison(b'{"hello": "world"}', "wrong_shape"),
    "an object with nothing of a task": Poison(b'{"id": "t", "colour": "red"}', "wrong_shape"),
    "a framed record without a registry": Poison(b"\x00\x00\x00\x00\x07{}", "no_registry"),
    "a list as document": Poison(b'{"op": "u", "after": []}', "wrong_type"),
    "a text where a list belongs": Poison(with_text('"x"', field="dependencies"), "wrong_type"),
    "a NaN": Poison(with_text("NaN", field="x"), "bad_json"),
    "a NaN as duration": Poison(execution("NaN"), "bad_json", Entity.EXECUTIONS),
    "a negative duration": Poison(execution("-1"), "bad_duration", Entity.EXECUTIONS),
    "a status outside of the list": Poison(change("poison", status="paused"), "bad_status"),
    "no id and no key": Poison(b'{"op":"u","after":{"status":"done"}}', "missing_id", key=None),
    "versions of another kind": Poison(
        value_of({"id": "poison", "status": "done"}, lsn=7), "version_kind"
    ),
    "no version where others have one": Poison(
        value_of({"id": "poison", "status": "done"}), "version_kind"
    ),
}


@pytest.mark.parametrize("name", POISON)
async def test_a_dead_letter_and_the_events_around_it_applied(
    running_worker: Stage, name: str
) -> None:
    stage, poison = running_worker, POISON[name]
    tables = {Entity.TASKS: "tasks", Entity.EXECUTIONS: "executions"}
    before, after = (change(f"{when} {name}") for when in ("before", "after"))
    stage.publish(poison.entity, before)
    (offset,) = stage.publish(poison.entity, poison.value, key=poison.key)
    stage.publish(poison.entity, after)

    await stage.row(tables[poison.entity], f"after {name}")
    await stage.row(tables[poison.entity], f"before {name}")
    letter = await stage.dead_letter(poison.entity, offset)
    assert letter["reason"] == poison.reason, letter["message"]
    assert (letter["value"], letter["key"]) == (poison.value, poison.key)
    assert letter["message"]
    table = tables[poison.entity]
    assert await stage.fetch(f"SELECT 1 FROM {table} WHERE src_offset = $1", offset) == []


async def test_all_poison_in_one_batch_leaves_the_rest(running_worker: Stage) -> None:
    stage = running_worker
    poison = [p for p in POISON.values() if p.entity is Entity.TASKS and p.key is not None]
    values = []
    for number, item in enumerate(poison):
        values += [change(f"among {number}", agent="MARS"), item.value]
    stage.publish(Entity.TASKS, *values, partition=1)
    await stage.row("tasks", f"among {len(poison) - 1}")
    found = await stage.fetch(
        "SELECT (SELECT count(*) FROM tasks WHERE id LIKE 'among %') AS applied, count(*) AS dead "
        "FROM dead_letters WHERE partition = 1"
    )
    assert found == [{"applied": len(poison), "dead": len(poison)}]


async def test_a_dead_letter_keeps_headers_key_and_bytes(running_worker: Stage) -> None:
    stage = running_worker
    headers = [("ce_id", b"1"), ("é", b"\xff\x00"), ("ce_id", b"2")]
    key, value = bytes(range(256)), b"\x00\xff"
    (offset,) = stage.publish(Entity.USERS, value, key=key, headers=headers)
    stage.publish(Entity.USERS, value_of({"id": "after headers"}, seq=1))
    await stage.row("user_profiles", "after headers")
    letter = await stage.dead_letter(Entity.USERS, offset)
    kept = [(name, base64.b64decode(data)) for name, data in json.loads(letter["headers"])]
    assert (letter["key"], letter["value"], kept) == (key, value, headers)
    assert letter["record_time"] is not None


async def test_a_record_of_5_mb_is_applied(running_worker: Stage) -> None:
    stage = running_worker
    text = "é" * 2_500_000
    stage.publish(Entity.TASKS, change("large", output=text), change("after large"))
    await stage.row("tasks", "after large")
    (row,) = await stage.fetch("SELECT output = $1 AS same FROM tasks WHERE id = 'large'", text)
    assert row["same"]


async def test_records_of_5_mb_together_larger_than_the_buffer_are_applied(
    running_worker: Stage,
) -> None:
    stage = running_worker
    values = [change(f"large {n}", output=f"{n}" * 5_000_000) for n in range(9)]
    stage.publish(Entity.TASKS, *values, *values)
    stage.publish(Entity.TASKS, change("after all the large"))
    await stage.row("tasks", "after all the large")
    query = "SELECT count(*) AS n FROM tasks WHERE id LIKE 'large %' AND length(output) = 5000000"
    assert await stage.fetch(query) == [{"n": 9}]


async def test_a_null_key_is_fine_where_the_document_has_the_id(running_worker: Stage) -> None:
    stage = running_worker
    stage.publish(Entity.TASKS, change("keyless"), key=None)
    stage.publish(Entity.TASKS, change("after keyless"))
    await stage.row("tasks", "after keyless")
    await stage.row("tasks", "keyless")


async def test_one_id_under_two_keys_and_partitions_ends_at_its_newest_version(
    running_worker: Stage,
) -> None:
    stage = running_worker
    for partition, seq in ((0, 3), (1, 5), (0, 4), (1, 2)):
        value = change("twice", seq=seq, agent=f"A{seq}")
        stage.publish(Entity.TASKS, value, key=f"{seq}".encode(), partition=partition)
    for partition in (0, 1):
        stage.publish(Entity.TASKS, change(f"after twice {partition}"), partition=partition)
        await stage.row("tasks", f"after twice {partition}")
    assert (await stage.row("tasks", "twice"))["agent"] == "A5"


async def test_two_records_of_one_id_in_one_batch_count_once(running_worker: Stage) -> None:
    stage = running_worker
    stage.publish(Entity.AGENTS, value_of({"id": "a", "name": "TWIN"}, seq=1))
    values = [change("one id", seq=n, agent="TWIN") for n in range(1, 200)]
    stage.publish(Entity.TASKS, *values)
    await stage.row("tasks", "one id", version=199)
    query = "SELECT total_tasks FROM agent_stats_cache WHERE agent_name = 'TWIN'"
    assert await stage.fetch(query) == [{"total_tasks": 1}]


async def test_numbers_at_the_edge_of_their_range_are_applied(running_worker: Stage) -> None:
    stage = running_worker
    edge = {"id": "edge", "status": "done", "attempts": 10**300, "phase": -0.0, "x": 10**300}
    stage.publish(Entity.TASKS, value_of(edge, seq=2**63 - 1, minor=2**31 - 1))
    row = await stage.row("tasks", "edge")
    assert (row["version"], row["version_minor"]) == (2**63 - 1, 2**31 - 1)
    assert row["attempts"] == 10**300


async def test_tombstones_and_deletions_of_what_was_never_there_change_nothing(
    running_worker: Stage,
) -> None:
    stage = running_worker
    gone = value_of(None, before={"id": "never there"}, seq=1)
    stage.publish(Entity.TASKS, gone, None, None, change("after never there"))
    await stage.row("tasks", "after never there")
    row = await stage.row("tasks", "never there")
    assert row["deleted_at"] is not None
    assert (row["agent"], row["status"], row["doc"]) == (None, None, None)
