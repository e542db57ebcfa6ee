"""Fields that Debezium did not send keep the newest value known so far, and never guess one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nova_stream.events.change import Entity
from nova_stream.storage.apply import sql
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.database import Connection
from tests.integration.storage.chunks import value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

MARK = "__debezium_unavailable_value"
TASKS = Entity.TASKS


def task(seq: int, **fields: Any) -> bytes:
    return value_of({"id": "t", "status": "done", "agent": "MARS", **fields}, seq=seq)


async def document(desk: Desk, entity: Entity = TASKS, id_: str = "t") -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((await desk.row(entity, id_))["doc"])
    return found


async def test_the_stored_value_stays(desk: Desk) -> None:
    await desk.put(TASKS, task(1, output="long", agent="VENUS"))
    await desk.put(TASKS, task(2, output=MARK, agent=MARK, status="failed"))
    row = await desk.row(TASKS, "t")
    assert (row["output"], row["agent"], row["status"]) == ("long", "VENUS", "failed")
    assert (await document(desk))["agent"] == "VENUS"


async def test_the_flushs_own_older_value_comes_before_the_stored_one(desk: Desk) -> None:
    await desk.put(TASKS, task(1, output="stored"))
    await desk.put(TASKS, task(2, output="older"), task(3, output=MARK), task(4, output=MARK))
    assert (await document(desk))["output"] == "older"


async def test_a_newer_stored_value_comes_before_the_flushs_older_one(desk: Desk) -> None:
    await desk.put(TASKS, task(5, output="stored"))
    await desk.put(TASKS, task(2, output="older"), task(6, output=MARK))
    assert (await document(desk))["output"] == "stored"


async def test_the_older_value_may_be_on_another_partition_of_the_flush(desk: Desk) -> None:
    desk.add(TASKS, task(2, output=MARK), partition=0)
    desk.add(TASKS, task(1, output="there"), partition=1)
    await desk.flush(desk.chunk(TASKS, partition=0), desk.chunk(TASKS, partition=1))
    assert (await document(desk))["output"] == "there"


async def test_every_field_takes_its_own_newest_value(desk: Desk) -> None:
    await desk.put(TASKS, task(1, output="o1", title="t1", error="e1"))
    await desk.put(
        TASKS,
        task(2, output="o2", title=MARK, error=MARK),
        task(3, output=MARK, title="t3", error=MARK),
        task(4, output=MARK, title=MARK, error=MARK),
    )
    found = await document(desk)
    assert (found["output"], found["title"], found["error"]) == ("o2", "t3", "e1")


async def test_a_field_that_is_known_to_be_absent_stays_absent(desk: Desk) -> None:
    applied = await desk.put(TASKS, task(1, output="old"), task(2), task(3, output=MARK))
    assert applied.incomplete == 0
    assert "output" not in await document(desk)


async def test_what_nobody_knows_is_absent_and_no_agent_is_the_empty_name(desk: Desk) -> None:
    applied = await desk.put(TASKS, task(1, output=MARK, agent=MARK))
    assert applied.incomplete == 1
    assert "output" not in await document(desk)
    row = await desk.row(TASKS, "t")
    assert (row["agent"], row["status"]) == ("", "done")


async def test_a_deletion_forgets(desk: Desk) -> None:
    await desk.put(TASKS, task(1, output="old", agent="VENUS"))
    gone = value_of(None, before={"id": "t"}, seq=2)
    await desk.put(TASKS, gone, task(3, output=MARK, agent=MARK))
    assert "output" not in await document(desk)
    assert (await desk.row(TASKS, "t"))["agent"] == ""


async def test_a_stored_deletion_forgets_what_was_before_it(desk: Desk) -> None:
    await desk.put(TASKS, value_of(None, before={"id": "t"}, seq=2))
    await desk.put(TASKS, task(1, output="old"), task(3, output=MARK))
    assert "output" not in await document(desk)


@pytest.mark.parametrize(
    ("entity", "field"),
    [(Entity.BUILDS, "status"), (TASKS, "status"), (Entity.AGENTS, "name")],
)
async def test_a_figure_that_nobody_knows_is_a_dead_letter(
    desk: Desk, entity: Entity, field: str
) -> None:
    known = {"id": "x", "status": "failed", "name": "MARS", "agent": "MARS"}
    await desk.put(
        entity,
        value_of({**known, field: MARK}, seq=1),
        value_of({**known, "id": "y"}, seq=1),
        value_of({**known, "id": "y", field: MARK}, seq=2),
    )
    assert await desk.dead() == [(entity.value, 0, 0, "missing_field")]
    assert (await desk.row(entity, "y"))["version"] == 2
    assert await desk.connection.fetch(f"SELECT FROM {entity.value} WHERE id = 'x'") == []


async def test_older_changes_count_where_the_newest_is_a_dead_letter(desk: Desk) -> None:
    builds = Entity.BUILDS
    gone = value_of(None, before={"id": "b"}, seq=2)
    lost = value_of({"id": "b", "status": MARK}, seq=3)
    await desk.put(builds, value_of({"id": "b", "status": "failed"}, seq=1), gone, lost)
    assert await desk.dead() == [("builds", 0, 2, "missing_field")]
    assert (await desk.row(builds, "b"))["version"] == 2


async def test_numbers_keep_all_their_digits(desk: Desk) -> None:
    digits = b"0.1234567890123456789012345678901234567890"
    first = task(1, output="o", x="PLACE").replace(b'"PLACE"', digits)
    second = task(2, output=MARK, x="PLACE").replace(b'"PLACE"', digits)
    await desk.put(TASKS, first, second)
    text = await desk.connection.fetchval("SELECT doc ->> 'x' FROM tasks")
    assert text == digits.decode()
    await desk.put(TASKS, task(3, output=MARK, x=MARK))
    assert await desk.connection.fetchval("SELECT doc ->> 'x' FROM tasks") == digits.decode()


@pytest.mark.parametrize("number", [b"1e5000", b"1" * 5000, b"1e-5000"])
async def test_numbers_beyond_pythons_are_kept_too(desk: Desk, number: bytes) -> None:
    await desk.put(TASKS, task(1, output="o", x="PLACE").replace(b'"PLACE"', number))
    before = await desk.connection.fetchval("SELECT doc -> 'x' FROM tasks")
    await desk.put(TASKS, task(2, output=MARK, x=MARK))
    assert (await document_text(desk, "output")) == "o"
    assert await desk.connection.fetchval("SELECT doc -> 'x' FROM tasks") == before
    await desk.put(
        TASKS,
        task(3, output="o", x="PLACE").replace(b'"PLACE"', number),
        task(4, output=MARK, x=MARK),
    )
    assert await desk.connection.fetchval("SELECT doc -> 'x' FROM tasks") == before


async def document_text(desk: Desk, field: str) -> Any:
    return await desk.connection.fetchval("SELECT doc ->> $1 FROM tasks", field)


async def test_durations_and_times_left_out_keep_counting(desk: Desk) -> None:
    runs = Entity.EXECUTIONS
    run = {"id": "e", "agent": "MARS", "duration": 2.5, "timestamp": "2026-02-20T12:00:00Z"}
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    await desk.put(runs, value_of(run, seq=1))
    left_out = {**run, "duration": MARK, "timestamp": MARK, "agent": MARK}
    await desk.put(runs, value_of(left_out, seq=2), value_of({**left_out, "model": "m"}, seq=3))
    cached = await desk.cached("MARS")
    assert (cached["avg_duration"], cached["last_active"] is not None) == (3, True)


class NoCommit:
    """A connection whose commits come to nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, statement: str, *arguments: Any) -> Any:
        if statement.endswith(sql.COMMIT):
            raise OSError("no commit")
        return await self._connection.execute(statement, *arguments)


@pytest.mark.parametrize(
    ("entity", "field", "whole"),
    [(TASKS, "output", {"agent": "MARS", "status": "done"}), (Entity.USERS, "email", {})],
)
async def test_a_flush_that_is_tried_again_fills_from_what_is_known_then(
    desk: Desk, entity: Entity, field: str, whole: dict[str, Any]
) -> None:
    await desk.put(entity, value_of({"id": "t", **whole}, seq=5))
    desk.add(entity, value_of({"id": "t", **whole, field: "of another try"}, seq=6))
    desk.add(entity, value_of({"id": "t", **whole, field: MARK}, seq=9))
    chunk = desk.chunk(entity, 1)
    given = [msgspec.structs.replace(change) for change in chunk.changes]

    connection: Any = NoCommit(desk.connection)
    with pytest.raises(OSError, match="no commit"):
        await Flush(connection, [chunk], desk.expected).run()
    assert chunk.changes == given

    # The older one is a dead letter by now.
    await desk.flush(msgspec.structs.replace(chunk, changes=chunk.changes[1:]))
    assert (await desk.row(entity, "t"))["version"] == 9
    assert field not in await document(desk, entity)
