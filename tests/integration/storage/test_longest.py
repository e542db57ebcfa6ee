"""The list of executions by their durations: against plain Python, and what it costs."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.lists.catalogue import EXECUTIONS
from nova_stream.storage.lists.longest import read_longest
from nova_stream.storage.lists.statements import OpenRange, Question
from nova_stream.storage.stats.read import Bounds

pytestmark = pytest.mark.integration

Row = dict[str, Any]

_TIMES = [None, *(f"2026-02-20T12:00:0{second}.000Z" for second in range(4))]
#: In their order; the last two are the same double.
_DURATIONS = [None, "0", "7", "7.5", "1000", "12345678901234567.1", "12345678901234567.2"]
_INSERT = """
INSERT INTO executions (id, version, version_minor, changed_at, src_partition, src_offset,
    agent, task_id, duration, timestamp, doc)
SELECT r ->> 'id', 1, 0, now(), 0, 0, r ->> 'agent', r ->> 'task', (r ->> 'duration')::numeric,
    (r ->> 'timestamp')::timestamptz, CASE WHEN NOT (r ->> 'archived')::bool THEN r END
FROM jsonb_array_elements($1::text::jsonb) r
"""


@pytest.fixture
async def connection(nova_settings: Settings) -> AsyncIterator[Connection]:
    opened = await connect(nova_settings, "test")
    yield opened
    await opened.close()


def _made(dice: random.Random) -> list[Row]:
    return [
        {
            "id": f"{letter}{number}",
            "agent": dice.choice(["MARS", "MARS", "VENUS"]),
            "task": dice.choice([None, "t1", "t2"]),
            "duration": dice.choice(_DURATIONS),
            "timestamp": dice.choice(_TIMES),
            "archived": dice.random() < 0.3,
        }
        for letter, number in itertools.product("aZé", range(12))
    ]


def _questions(dice: random.Random) -> Iterator[Question]:
    walk = dice.choice([1, 2, 5, 100])
    filters = {name: each._replace(walk=walk) for name, each in EXECUTIONS.filters.items()}
    listing = EXECUTIONS._replace(filters=filters)
    for least, task, text in itertools.product([None, "0", "8"], [None, "t1"], [None, "z"]):
        given = {"agent": "MARS", "minDuration": least, "task": task, "q": text}
        chosen = {name: value for name, value in given.items() if value is not None}
        start, end = dice.choice(_TIMES[:3]), dice.choice([None, *_TIMES[3:]])
        yield Question(listing, chosen, OpenRange(start, end), documents=dice.random() < 0.5)


def _wanted(asked: Question, rows: list[Row]) -> list[str]:
    start, end = asked.range
    least = asked.filters.get("minDuration")
    found = [
        row
        for row in rows
        if row["agent"] == "MARS"
        and row["duration"] is not None
        and row["timestamp"] is not None
        and (start is None or row["timestamp"] >= start)
        and (end is None or row["timestamp"] < end)
        and (least is None or float(row["duration"]) >= int(least))
        and asked.filters.get("task") in (None, row["task"])
        and asked.filters.get("q", "") in row["id"].lower()
    ]
    order = [duration for duration in _DURATIONS if duration is not None]
    found.sort(
        key=lambda row: (order.index(row["duration"]), row["timestamp"], row["id"]), reverse=True
    )
    return [row["id"] for row in found]


@pytest.mark.parametrize("seed", range(8))
async def test_the_list_equals_plain_sorting_and_gives_each_row_once_both_ways(
    connection: Connection, seed: int
) -> None:
    dice = random.Random(seed)
    rows = _made(dice)
    await connection.execute(_INSERT, json.dumps(rows))
    for asked in _questions(dice):
        bounds = Bounds(dice.choice([1, 2, 3, 50]), 1 << 20)
        pages = [page := await read_longest(connection, asked, bounds)]
        while page.next is not None:
            pages.append(page := await read_longest(connection, asked, bounds, page.next))
        back = [row.id for row in page.rows]
        while page.prev is not None:
            page = await read_longest(connection, asked, bounds, page.prev)
            back = [row.id for row in page.rows] + back
        wanted = _wanted(asked, rows)
        assert [row.id for page in pages for row in page.rows] == wanted, asked
        assert back == wanted, asked


#: Rows of an agent that the index alone looks at.
_MANY = 15_000
_FILL = f"""
INSERT INTO executions (id, version, version_minor, changed_at, src_partition, src_offset,
    agent, duration, timestamp, doc)
SELECT 'e' || n, 1, 0, now(), 0, n, 'A' || n % 3, n % 977,
    timestamptz '2026-02-20 12:00Z' - n * interval '1 s', jsonb_build_object('id', 'e' || n)
FROM generate_series(1, {3 * _MANY}) n
"""


class _Explaining:
    """A connection that keeps the plan of every query."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.transaction = connection.transaction
        self.execute = connection.execute
        self.plans: list[Row] = []

    async def fetch(self, statement: str, *values: Any) -> Any:
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
        plan = await self._connection.fetchval(explain, *values)
        self.plans.append(json.loads(plan)[0]["Plan"])
        return await self._connection.fetch(statement, *values)


async def test_rows_are_looked_up_for_those_alone_that_may_be_shown(
    connection: Connection,
) -> None:
    await connection.execute(_FILL)
    await connection.execute("VACUUM ANALYZE executions")
    explaining: Any = _Explaining(connection)
    asked = Question(
        EXECUTIONS, {"agent": "A1", "minDuration": "5"}, OpenRange("2026-02-01T00:00:00.000Z")
    )
    first = await read_longest(explaining, asked, Bounds(50, 1 << 20))
    assert first.next is not None
    await read_longest(explaining, asked, Bounds(50, 1 << 20), first.next)
    assert len(explaining.plans) == 2
    for plan in explaining.plans:
        looked_up = [
            node["Actual Loops"] * node["Actual Rows"]
            for node in _nodes(plan)
            if node["Node Type"] in ("Index Scan", "Seq Scan", "Bitmap Heap Scan")
        ]
        assert looked_up
        assert max(looked_up) <= 2 * 52


def _nodes(plan: Row) -> Iterator[Row]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)
