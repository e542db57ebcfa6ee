"""Steps that are sent as one message with the commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nova_stream.settings import Settings
from nova_stream.storage.apply.sql import BEGIN, ROLLBACK
from nova_stream.storage.apply.together import array_literal, commit
from nova_stream.storage.database import Connection, connect
from tests.integration.storage.conftest import Stage

pytestmark = pytest.mark.integration

_PUT = "INSERT INTO things SELECT unnest($1::text[]), unnest($2::bigint[])"
_COUNT = "INSERT INTO counts SELECT count(*) FROM things WHERE name <> ALL ($1::text[])"
_WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
_LOCK = "SELECT pg_advisory_xact_lock(7, key) FROM unnest($1::int[]) AS key"


@pytest.fixture
async def two(nova_settings: Settings) -> AsyncIterator[tuple[Connection, Connection]]:
    """Two connections to a database with two tables."""
    one = await connect(nova_settings, "one", flush=True)
    other = await connect(nova_settings, "other", flush=True)
    try:
        await one.execute("CREATE TABLE things (name text PRIMARY KEY, number bigint)")
        await one.execute("CREATE TABLE counts (number bigint)")
        yield one, other
    finally:
        await one.close()
        await other.close()


async def things(connection: Connection) -> dict[str, int | None]:
    return {row["name"]: row["number"] for row in await connection.fetch("SELECT * FROM things")}


async def test_what_is_sent_together_is_committed(two: tuple[Connection, Connection]) -> None:
    one, other = two
    await one.execute(BEGIN)
    await commit(one, [(_LOCK, [2, 1])], [(_PUT, ["a", "b"], [1, None]), (_COUNT, [])])
    assert await things(other) == {"a": 1, "b": None}
    # The parts of a step have one snapshot, from before it.
    assert await other.fetchval("SELECT number FROM counts") == 0
    assert not one.is_in_transaction()


async def test_a_step_sees_what_was_committed_before_it_begins(
    two: tuple[Connection, Connection],
) -> None:
    one, other = two
    await other.execute(BEGIN)
    await other.fetch(_LOCK, [5])
    await one.execute(BEGIN)
    assert await one.fetchval("SELECT count(*) FROM things") == 0
    async with asyncio.TaskGroup() as group:
        group.create_task(commit(one, [(_LOCK, [5])], [(_COUNT, [])]))
        async with asyncio.timeout(10):
            while not await other.fetchval(_WAITS):  # noqa: ASYNC110 - SQL tells
                await asyncio.sleep(0.01)
        await commit(other, [(_PUT, ["late"], [1])])
    assert await other.fetchval("SELECT number FROM counts") == 1


async def test_nothing_is_committed_where_one_step_fails(
    two: tuple[Connection, Connection],
) -> None:
    one, other = two
    for _ in range(2):
        await one.execute(BEGIN)
        with pytest.raises(asyncpg.UniqueViolationError):
            await commit(one, [(_PUT, ["a"], [1])], [(_PUT, ["b", "a"], [1, 2])])
        await one.execute(ROLLBACK)
        assert await things(other) == {}
    # What it prepared stays.
    await one.execute(BEGIN)
    await commit(one, [(_PUT, ["a"], [1])])
    assert await things(other) == {"a": 1}


async def test_a_statement_is_prepared_once_and_planned_once(
    two: tuple[Connection, Connection],
) -> None:
    one, _ = two
    for number in range(8):
        await one.execute(BEGIN)
        await commit(one, [(_PUT, [str(number)], [number])])
    query = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE from_sql"
    assert [tuple(row) for row in await one.fetch(query)] == [(8, 0)]


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_instants = st.datetimes(timezones=st.just(UTC))


@pytest.mark.parametrize("conforming", ["on", "off"])
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(_texts | st.sampled_from(["NULL", "null", "", " ", "\\'", "'\"", "{}", "a;b", "$1"])),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
    st.lists(_instants),
)
def test_whatever_is_in_an_array_is_read_the_same(
    stage: Stage,
    conforming: str,
    texts: list[str],
    numbers: list[int | None],
    instants: list[datetime],
) -> None:
    async def read(connection: Connection) -> list[object]:
        await connection.execute(f"SET standard_conforming_strings = {conforming}")
        literals = [array_literal(each) for each in (texts, numbers, instants)]
        row = await connection.fetchrow(
            f"SELECT {literals[0]}::text[], {literals[1]}::bigint[], {literals[2]}::timestamptz[]"
        )
        assert row is not None
        return list(row)

    assert stage.on_control(read) == [texts, numbers, instants]
