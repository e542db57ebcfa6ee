"""What a failed task tells of its executions, however many they are."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.lists.catalogue import TASKS
from nova_stream.storage.lists.read import read_page
from nova_stream.storage.lists.statements import Question
from nova_stream.storage.stats import read

pytestmark = pytest.mark.integration

_TASK = """
INSERT INTO tasks (id, build_id, agent, status, version, version_minor, changed_at, src_partition,
    src_offset, doc)
VALUES ('t', 'b', 'MARS', 'failed', 1, 0, now(), 0, 1, '{}')
"""
_BUILD = """
INSERT INTO builds (id, status, version, version_minor, changed_at, src_partition, src_offset, doc)
VALUES ('b', 'failed', 1, 0, now(), 0, 1, '{}')
"""
#: $1: how many, oldest first, of which the first and the last failed.
_EXECUTIONS = """
INSERT INTO executions (id, task_id, agent, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT 'x' || n, 't', 'MARS', timestamptz '2026-02-20 12:00Z' + n * interval '1 s', 1, 0, now(),
    0, n, CASE WHEN n IN (1, $1::int) THEN jsonb_build_object('error', 'number ' || n) ELSE '{}' END
FROM generate_series(1, $1::int) n
"""
BOUNDS = read.Bounds(100, 10**6)


@pytest.fixture
async def connection(nova_settings: Settings) -> AsyncIterator[Connection]:
    found = await connect(nova_settings, "test")
    yield found
    await found.close()


async def told(connection: Connection) -> tuple[str | None, str | None]:
    """The same by the list and by the build."""
    page = await read_page(connection, Question(TASKS, documents=True), BOUNDS)
    whole = await read.build(connection, "b", BOUNDS)
    assert whole is not None
    (listed,), (task,) = page.rows, whole[0].tasks
    found = (task.failed_execution_id, task.failed_execution_error)
    assert (listed.failed_execution_id, listed.failed_execution_error) == found
    return found


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, ("x1", "number 1")),
        (20, ("x20", "number 20")),
        (2000, ("x2000", "number 2000")),
        (2001, (None, None)),
    ],
)
async def test_it_is_the_newest_one_or_none(
    connection: Connection, number: int, expected: tuple[str | None, str | None]
) -> None:
    for statement in (_BUILD, _TASK):
        await connection.execute(statement)
    await connection.execute(_EXECUTIONS, number)
    assert await told(connection) == expected


async def test_one_that_is_deleted_archived_or_of_another_task_now_is_none_of_its(
    connection: Connection,
) -> None:
    for statement in (_BUILD, _TASK):
        await connection.execute(statement)
    await connection.execute(_EXECUTIONS, 5)
    change = "UPDATE executions SET {} WHERE id = 'x5'"
    await connection.execute(change.format("task_id = 'another'"))
    assert await told(connection) == ("x1", "number 1")
    await connection.execute(change.format("task_id = 't', doc = NULL, archived_at = now()"))
    assert await told(connection) == ("x1", "number 1")
    await connection.execute("UPDATE executions SET deleted_at = now() WHERE id = 'x1'")
    assert await told(connection) == (None, None)
