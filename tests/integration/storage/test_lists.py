"""Lists: every filter and every page against plain Python, and what they cost."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.lists import catalogue, read
from nova_stream.storage.lists import search as search_module
from nova_stream.storage.lists.catalogue import Listing
from nova_stream.storage.lists.read import read_page
from nova_stream.storage.lists.search import search
from nova_stream.storage.lists.statements import OpenRange, Question
from nova_stream.storage.places import Cursor, ListPlace
from nova_stream.storage.stats.read import Bounds

pytestmark = pytest.mark.integration

Row = dict[str, Any]
_TIMES = [None, *(f"2026-02-20T12:00:0{second}.000Z" for second in range(6))]
_AGENTS = ["MARS", "VENUS", "a\nb"]
_TEXTS = [None, "", "Fix the log-in", "log rotation", "fix_it/LOGS 2x", "50% {braces}"]
_SOUGHT = ["log", "fix lo", "t1", "b", "LOG-IN", "2x", "é", "Z", "%", "a", "brac", "x", "x@"]
_INSERT = """
INSERT INTO {table} (id, version, version_minor, changed_at, src_partition, src_offset, deleted_at,
    doc{typed})
SELECT r ->> 'id', 1, 0, now(), 0, 0, CASE WHEN (r ->> 'gone')::bool THEN now() END,
    CASE WHEN NOT (r ->> 'gone')::bool AND NOT coalesce((r ->> 'archived')::bool, false)
        THEN r - 'gone' - 'archived' END{values}
FROM jsonb_array_elements($1::text::jsonb) r
"""
#: Of columns that are no text.
_CASTS = {
    "duration": "::numeric",
    **dict.fromkeys(("started_at", "created_at", "timestamp", "last_active_at"), "::timestamptz"),
}


class Kind(NamedTuple):
    """How a list's rows are made and what its filters mean, in plain words."""

    listing: Listing
    #: The document's field of the list's time.
    time: str
    typed: tuple[str, ...]
    fields: Mapping[str, Callable[[random.Random], Any]]
    filters: Mapping[str, Callable[[Row, str, Mapping[str, list[Row]]], bool]]
    #: Whether a row is one of those that a text finds.
    found: Callable[[Row, str], bool]
    values: Mapping[str, list[str]]


def _of(*options: Any) -> Callable[[random.Random], Any]:
    return lambda dice: dice.choice(options)


_BUILD_IDS = ["b0", "b1", "b2", "ü"]
_TASK_IDS = [f"t{n}" for n in range(12)]


def _build_of(row: Row, value: str, rows: Mapping[str, list[Row]]) -> bool:
    return any(t["id"] == row["taskId"] and t["buildId"] == value for t in rows["tasks"])


def _came_to(execution: Row) -> str:
    if execution["archived"]:
        return "archived"
    return "failed" if execution["error"] else "succeeded"


def _contains(*fields: str) -> Callable[[Row, str], bool]:
    return lambda row, text: any(text.lower() in (row[field] or "").lower() for field in fields)


KINDS = {
    "builds": Kind(
        catalogue.BUILDS,
        "startedAt",
        ("status", "started_at"),
        {"status": _of("running", "failed"), "prdName": _of(*_TEXTS)},
        {
            "status": lambda row, value, _: row["status"] == value,
            "agent": lambda row, value, rows: any(
                t["buildId"] == row["id"] and t["agent"] == value for t in rows["tasks"]
            ),
        },
        _contains("id", "prdName"),
        {"status": ["running", "failed"], "agent": _AGENTS},
    ),
    "tasks": Kind(
        catalogue.TASKS,
        "createdAt",
        ("build_id", "agent", "status", "created_at"),
        {
            "buildId": _of(None, *_BUILD_IDS),
            "agent": _of(*_AGENTS),
            "status": _of("done", "failed"),
            "title": _of(*_TEXTS),
        },
        {
            "build": lambda row, value, _: row["buildId"] == value,
            "agent": lambda row, value, _: row["agent"] == value,
            "status": lambda row, value, _: row["status"] == value,
        },
        _contains("id", "title"),
        {"build": _BUILD_IDS, "agent": _AGENTS, "status": ["done", "failed"]},
    ),
    "executions": Kind(
        catalogue.EXECUTIONS,
        "timestamp",
        ("task_id", "agent", "duration", "timestamp"),
        {
            "taskId": _of(None, *_TASK_IDS),
            "agent": _of(*_AGENTS),
            "archived": _of(False, True),
            "error": _of(None, "", "it broke"),
            "duration": _of(None, 0, 7, 7.5, 8, 1000),
        },
        {
            "task": lambda row, value, _: row["taskId"] == value,
            "build": _build_of,
            "agent": lambda row, value, _: row["agent"] == value,
            "status": lambda row, value, _: _came_to(row) == value,
            "minDuration": lambda row, value, _: (
                row["duration"] is not None and row["duration"] >= int(value)
            ),
        },
        _contains("id"),
        {
            "task": _TASK_IDS,
            "build": _BUILD_IDS,
            "agent": _AGENTS,
            "status": ["succeeded", "failed", "archived"],
            "minDuration": ["0", "8", "2000"],
        },
    ),
    "activity": Kind(
        catalogue.ACTIVITY,
        "timestamp",
        ("timestamp",),
        {
            "taskId": _of(None, *_TASK_IDS),
            "agentName": _of(*_AGENTS),
            "userId": _of("u", "v"),
            "eventType": _of("task_failed", "other"),
            "details": _of(*_TEXTS),
        },
        {
            "agent": lambda row, value, _: row["agentName"] == value,
            "build": _build_of,
            "user": lambda row, value, _: row["userId"] == value,
            "eventType": lambda row, value, _: row["eventType"] == value,
        },
        _contains("details"),
        {
            "agent": _AGENTS,
            "build": _BUILD_IDS,
            "user": ["u", "v"],
            "eventType": ["task_failed", "other"],
        },
    ),
    "users": Kind(
        catalogue.USERS,
        "lastActiveAt",
        ("last_active_at",),
        {"tier": _of("free", "pro"), "userId": _of("x", "y"), "email": _of("X@y", "é@z", "q")},
        {"tier": lambda row, value, _: row["tier"] == value},
        _contains("id", "userId", "email"),
        {"tier": ["free", "pro"]},
    ),
}


def _camel(column: str) -> str:
    first, *rest = column.split("_")
    return first + "".join(word.title() for word in rest)


@pytest.fixture
async def connection(nova_settings: Settings) -> AsyncIterator[Connection]:
    opened = await connect(nova_settings, "test")
    yield opened
    await opened.close()


def _made(dice: random.Random, kind: Kind, name: str) -> list[Row]:
    ids = {"builds": _BUILD_IDS, "tasks": _TASK_IDS}.get(
        name, [f"{letter}{n}" for letter in "aZé" for n in range(5)]
    )
    chosen = [id_ for id_ in ids if dice.random() < 0.9]
    return [
        {
            "id": id_,
            kind.time: dice.choice(_TIMES),
            "gone": dice.random() < 0.15,
            **{field: make(dice) for field, make in kind.fields.items()},
        }
        for id_ in chosen
    ]


async def _store(connection: Connection, kind: Kind, rows: list[Row]) -> None:
    columns = kind.typed
    statement = _INSERT.format(
        table=kind.listing.table,
        typed="".join(f", {column}" for column in columns),
        values="".join(
            f", CASE WHEN NOT (r ->> 'gone')::bool THEN (r ->> '{_camel(column)}')"
            f"{_CASTS.get(column, '')} END"
            for column in columns
        ),
    )
    await connection.execute(f"TRUNCATE {kind.listing.table}")
    await connection.execute(statement, json.dumps(rows))


def _wanted(
    kind: Kind, asked: Question, rows: Mapping[str, list[Row]], own: list[Row]
) -> list[str]:
    """The ids of a list, by plain filtering and sorting."""
    start, end = asked.range
    found = [row for row in own if not row["gone"]]
    if start is not None:
        found = [row for row in found if row[kind.time] is not None and row[kind.time] >= start]
    if end is not None:
        found = [row for row in found if row[kind.time] is not None and row[kind.time] < end]
    for name, value in asked.filters.items():
        if name == "q":
            found = [row for row in found if kind.found(row, value)]
        else:
            found = [row for row in found if kind.filters[name](row, value, rows)]
    found.sort(key=lambda row: (row[kind.time] or "", row["id"]), reverse=True)
    return [row["id"] for row in found]


async def _paged(
    connection: Connection, asked: Question, limit: int
) -> tuple[list[str], list[str]]:
    """The ids by reading on to the end, and by reading back from there."""
    bounds = Bounds(limit, 1 << 20)
    pages = [page := await read_page(connection, asked, bounds)]
    while page.next is not None:
        pages.append(page := await read_page(connection, asked, bounds, page.next))
    forward = [row.id for page in pages for row in page.rows]
    if not asked.filters:
        assert all(len(page.rows) == limit for page in pages[:-1])
        assert len(pages) == max(1, math.ceil(len(forward) / limit))
    back = [row.id for row in page.rows]
    while page.prev is not None:
        page = await read_page(connection, asked, bounds, page.prev)
        back = [row.id for row in page.rows] + back
        assert page.next is not None
    return forward, back


def _questions(dice: random.Random, kind: Kind, listing: Listing) -> Iterator[Question]:
    """Every combination of filters, each with some values and some range."""
    names = list(kind.filters)
    for size in range(len(names) + 1):
        for chosen in itertools.combinations(names, size):
            given = {name: dice.choice(kind.values[name]) for name in chosen}
            if dice.random() < 0.5:
                given["q"] = dice.choice(_SOUGHT)
            ends = [dice.choice([None, None, *_TIMES[1:]]) for _ in range(2)]
            yield Question(listing, given, OpenRange(*ends), documents=dice.random() < 0.5)


@pytest.mark.parametrize("seed", range(4))
async def test_every_list_equals_plain_filtering_and_gives_each_row_once_both_ways(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    made = {name: _made(dice, kind, name) for name, kind in KINDS.items()}
    living = {name: [row for row in rows if not row["gone"]] for name, rows in made.items()}
    for name, kind in KINDS.items():
        await _store(connection, kind, made[name])
    for name, kind in KINDS.items():
        for asked in _questions(dice, kind, _short(kind.listing, dice.choice([1, 2, 5, 100]))):
            monkeypatch.setattr(read, "SORTED", dice.choice([0, 2, 1000]))
            wanted = _wanted(kind, asked, living, made[name])
            forward, back = await _paged(connection, asked, dice.choice([1, 2, 3, 50]))
            assert forward == wanted, (name, asked)
            assert back == wanted, (name, asked)


def _short(listing: Listing, walk: int) -> Listing:
    """The list with walks that stop after a few rows."""
    filters = {name: each._replace(walk=walk) for name, each in listing.filters.items()}
    return listing._replace(filters=filters)


async def _filled(connection: Connection) -> None:
    for statement in _FILL.split(";"):
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")


#: More rows than any page may look at.
_MANY = 15_000
_MARKERS = "version, version_minor, changed_at, src_partition, src_offset, doc"
_MARKED = "1, 0, now(), 0, n"
_AT = "timestamptz '2026-02-20 12:00Z' - n * interval '1 s'"
_FILL = f"""
INSERT INTO builds (id, status, started_at, {_MARKERS})
SELECT 'b' || n, (ARRAY['running', 'failed'])[1 + n % 2], {_AT}, {_MARKED},
    jsonb_build_object('id', 'b' || n, 'prdName', 'Lumen ' || n % 7)
FROM generate_series(1, {_MANY}) n;
INSERT INTO tasks (id, build_id, agent, status, created_at, {_MARKERS})
SELECT 't' || n, 'b' || n / 10, 'A' || n % 9, (ARRAY['done', 'ready'])[1 + n % 2], {_AT}, {_MARKED},
    jsonb_build_object('id', 't' || n, 'title', 'Fix part ' || n)
FROM generate_series(1, {_MANY}) n;
INSERT INTO executions (id, task_id, agent, duration, timestamp, {_MARKERS})
SELECT 'e' || n, 't' || n, 'A' || n % 9, n, {_AT}, 1, 0, now(), 0, n,
    CASE WHEN n < {_MANY // 2} THEN jsonb_build_object('id', 'e' || n) END
FROM generate_series(1, {_MANY}) n;
INSERT INTO agent_activity_feed (id, timestamp, {_MARKERS})
SELECT 'v' || n, {_AT}, {_MARKED},
    jsonb_build_object('id', 'v' || n, 'agentName', 'A' || n % 9, 'details', 'd')
FROM generate_series(1, {_MANY}) n;
INSERT INTO user_profiles (id, created_at, last_active_at, {_MARKERS})
SELECT 'u' || n, {_AT}, {_AT}, {_MARKED},
    jsonb_build_object('id', 'u' || n, 'userId', 'user-' || n, 'email', n || '@example.com')
FROM generate_series(1, {_MANY}) n
"""
_RARE = {"build": "b7", "task": "t7", "agent": "A1", "status": "ready", "tier": "none", "user": "x"}
_RARE |= {"eventType": "none", "q": "77", "minDuration": str(2**53)}
_RARE["eventType"] = "none"
_TEXTS_OF_MANY = ["fix", "fix 77", "t77", "none", "lumen 3"]


def _nodes(plan: Row) -> Iterator[Row]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


async def test_no_list_and_no_search_looks_at_more_rows_than_it_may(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "SORTED", 500)
    monkeypatch.setattr(search_module, "NEWEST", 1000)
    await _filled(connection)
    looked: Any = _Explaining(connection)
    dice = random.Random(1)
    middle = Cursor(ListPlace("2026-02-20T08:00:00.000Z", "m"))
    for kind in KINDS.values():
        listing = _short(kind.listing, 1000)
        for asked in _questions(dice, kind, listing):
            if 1 < len(asked.filters) < len(kind.filters):
                continue
            filters = {name: _RARE[name] for name in asked.filters}
            for start in (None, middle, middle.opposite()):
                await read_page(looked, asked._replace(filters=filters), Bounds(50, 1 << 20), start)
    for text in ("t", "e77", "fix", "none", "lumen 3", "user", "7"):
        await search(looked, text, 5, documents=True)
    assert looked.statements > 100
    assert looked.faults == []


class _Explaining:
    """A connection that explains every query before it runs it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.statements = 0
        self.faults: list[str] = []

    def transaction(self, **options: Any) -> Any:
        return self._connection.transaction(**options)

    async def execute(self, statement: str) -> None:
        await self._connection.execute(statement)

    async def fetch(self, statement: str, *values: Any) -> Any:
        await self._explain(statement, values)
        return await self._connection.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        await self._explain(statement, values)
        return await self._connection.fetchrow(statement, *values)

    async def _explain(self, statement: str, values: Any) -> None:
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
        plan = json.loads(await self._connection.fetchval(explain, *values))[0]["Plan"]
        self.statements += 1
        for node in _nodes(plan):
            rows = node["Actual Loops"] * (
                node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            )
            if node["Node Type"] == "Seq Scan" or rows > _MANY / 2:
                self.faults.append(f"{node['Node Type']} of {rows} rows: {statement} {values}")


async def test_search_ranks_exact_ids_before_beginnings_before_words(
    connection: Connection,
) -> None:
    rows: dict[str, list[Row]] = {name: [] for name in KINDS}
    tasks = {"t1": "plain", "t12": "Plain page", "x": "of t1 and 50%", "y": "50 pages"}
    for id_, title in tasks.items():
        rows["tasks"].append({"id": id_, "title": title, "gone": False, "createdAt": _TIMES[1]})
    rows["tasks"].append({"id": "t13", "gone": True, "createdAt": _TIMES[1]})
    rows["users"].append(
        {"id": "u", "userId": "k", "email": "T1@x", "gone": False, "lastActiveAt": _TIMES[1]}
    )
    for name, kind in KINDS.items():
        await _store(connection, kind, rows[name])

    async def found(text: str, limit: int = 5, *, documents: bool = True) -> Any:
        groups = await search(connection, text, limit, documents=documents)
        return {g.kind: ([(h.id, h.match) for h in g.items], g.more) for g in groups}

    ranked = [("t1", "exact"), ("t12", "prefix"), ("x", "word")]
    assert await found("t1") == {"tasks": (ranked, False), "users": ([("u", "word")], False)}
    assert (await found("t1", 2))["tasks"] == (ranked[:2], True)
    assert await found("t1", documents=False) == {"tasks": (ranked[:2], False)}
    assert await found("50%") == {"tasks": ([("x", "word")], False)}
    assert await found("PAGE plain") == {"tasks": ([("t12", "word")], False)}
    assert await found("t13") == {}


@pytest.mark.parametrize("place", [0, 3, 5])
async def test_search_finds_the_row_that_is_called_so_among_many_that_have_the_word(
    connection: Connection, place: int
) -> None:
    titles = [f"Plain {n}" for n in range(6)]
    titles[place] = "PLAIN"
    rows = [
        {"id": f"i{n}", "title": title, "gone": False, "createdAt": _TIMES[1 + n % 6]}
        for n, title in enumerate(titles)
    ]
    await _store(connection, KINDS["tasks"], rows)
    (group,) = await search(connection, "plain", 3, documents=True)
    newest = [row["id"] for row in reversed(rows) if row["title"] != "PLAIN"][:2]
    assert [(hit.id, hit.match) for hit in group.items] == [
        (f"i{place}", "exact"),
        *((id_, "word") for id_ in newest),
    ]
    assert group.more
