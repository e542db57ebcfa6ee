"""What was done in a range of time, counted from the rows at the moment of the question. Each gives
one state; all raise what asyncpg raises, and need a connection that is in no transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from nova_stream.events.times import time_text
from nova_stream.formulas import mean_duration, success_rate
from nova_stream.storage.bounded import fetch_within
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.places import AgentPlace, Cursor, FoundPage, found_page
from nova_stream.storage.stats import ranges_sql as sql
from nova_stream.storage.stats.buckets import Range, Units, times_of, units_of
from nova_stream.storage.stats.histogram import DURATIONS
from nova_stream.storage.stats.range_rows import (
    AgentBucket,
    AgentRange,
    AgentRangeRow,
    AgentSeries,
    AgentsRange,
    BuildBucket,
    BuildFigures,
    BuildSeries,
    BuildsRange,
    Figures,
)
from nova_stream.storage.stats.read import Bounds, in_turns, known_name, shown

_Found = Mapping[Any, Mapping[str, Any]]
_Made = TypeVar("_Made", bound=Figures | BuildFigures)
#: Histograms that are read before others have their turn: each has up to 8 kB, and the next ones
#: come in the meantime.
_HISTOGRAMS = 50
#: Pieces of names that are looked up for one answer: where days begin half an hour past the hour
#: (UTC) each has two.
_LOOKUPS = 100_000
#: How far percentiles of histograms may be off.
_ERROR = 0.01


async def agents_range(
    connection: Connection,
    asked: Range,
    bounds: Bounds,
    cursor: Cursor[AgentPlace] | None,
    *,
    unregistered: bool,
) -> tuple[AgentsRange, FoundPage[AgentRangeRow, AgentPlace]]:
    """What every registered agent did, on request with the names that are not: a page of them by
    name, with its neighbours. Read in both directions.
    """
    place = (None, None) if cursor is None else (cursor.place.name, cursor.place.id)
    statement = sql.NAMES["<" if cursor is None else cursor.side]
    arguments = (unregistered, *place, bounds.rows + 1)
    async with snapshot(connection):
        found = await fetch_within(connection, statement, *arguments, **bounds._asdict())
        names = [row["agent_name"] for row in found.rows]
        tasks = await _by_key(connection, sql.AGENTS[0], *asked, names)
        if asked.days is None:
            executions = await _by_key(connection, sql.AGENTS[1], *asked, names)
        else:
            executions = await _long(connection, sql.LONG_AGENTS, *asked, *asked.days, names)

    def row(name: Mapping[str, Any]) -> AgentRangeRow:
        key = name["agent_name"]
        return _figures(AgentRangeRow, asked, tasks.get(key), executions.get(key), **name)

    rows = await in_turns(row, found.rows)
    end = AgentPlace(None, rows[-1].agent_name, rows[-1].agent_id or "") if found.more else None
    page = found_page(rows, end, cursor)
    answer = AgentsRange(
        from_=time_text(asked.start),
        to=time_text(asked.end),
        overall=_figures(Figures, asked, tasks.get(None), executions.get(None)),
        items=page.rows,
        percentile_error=error_of(asked),
    )
    return answer, page


async def agent_range(
    connection: Connection, asked: Range, name: str, *, unregistered: bool
) -> AgentRange | None:
    """What a name did: as ``read.agent_stats`` finds it, None where that finds none."""
    async with snapshot(connection):
        agent = await known_name(connection, name, unregistered=unregistered)
        if agent is None:
            return None
        if asked.days is None:
            tasks, executions = [await _by_key(connection, s, *asked, name) for s in sql.AGENT]
        else:
            tasks = await _by_key(connection, sql.AGENT[0], *asked, name)
            executions = await _long(connection, sql.LONG_AGENT, *asked, *asked.days, name)
    return _figures(
        AgentRange,
        asked,
        tasks.get(""),
        executions.get("" if asked.days is None else name),
        **agent,
        percentile_error=error_of(asked),
        from_=time_text(asked.start),
        to=time_text(asked.end),
    )


async def agent_series(
    connection: Connection,
    buckets: Sequence[Range],
    name: str | None,
    *,
    unregistered: bool,
    **names: str,
) -> AgentSeries | None:
    """What a name did in each of the buckets, which meet; without a name what all did. None where
    ``agent_range`` finds none. ``names`` are those of the buckets' length and of the time zone.
    """
    asked = Range(buckets[0].start, buckets[-1].end)
    statements = sql.SERIES if name is None else sql.AGENT_SERIES
    arguments = [*asked, [bucket.start for bucket in buckets]]
    who = [] if name is None else [name]
    units = None if asked.days is None else units_of(buckets)
    async with snapshot(connection):
        if name is not None and not await known_name(connection, name, unregistered=unregistered):
            return None
        tasks = await _by_key(connection, statements.tasks, *arguments, *who)
        if units is None or not await _is_worth_it(connection, units, name):
            units = None
            executions = await _by_key(connection, statements.executions, *arguments, *who)
        else:
            pieces = *_ends(units.whole), *_ends(units.rest)
            statement = statements.counted[units.unit]
            executions = await _long(connection, statement, *arguments, *pieces, *who)

    edges = times_of(buckets)

    def made(number: int) -> AgentBucket:
        bucket, times = buckets[number - 1], edges[number - 1]
        return _figures(AgentBucket, bucket, tasks.get(number), executions.get(number), **times)

    items = await in_turns(made, range(1, len(buckets) + 1))
    times = {"from_": time_text(asked.start), "to": time_text(asked.end)}
    error = 0 if units is None else _ERROR
    return AgentSeries(agent_name=name, items=items, percentile_error=error, **times, **names)


async def executions_by(connection: Connection, asked: Range, name: str | None = None) -> _Found:
    """The executions of a range by agent, or those of one agent, with ``timed`` and
    ``percentiles``. Needs a snapshot.
    """
    who = [] if name is None else [name]
    if asked.days is None:
        statement = sql.EXECUTIONS if name is None else sql.EXECUTIONS_OF
        return await _by_key(connection, statement, *asked, *who)
    statement = sql.LONG_EXECUTIONS if name is None else sql.LONG_AGENT
    return await _long(connection, statement, *asked, *asked.days, *who)


async def builds_range(connection: Connection, asked: Range) -> BuildsRange:
    """The builds that ended in a range."""
    found = await _by_key(connection, sql.BUILDS, *asked)
    times = {"from_": time_text(asked.start), "to": time_text(asked.end)}
    return _build_figures(BuildsRange, asked, found.get(""), **times)


async def builds_series(
    connection: Connection, buckets: Sequence[Range], **names: str
) -> BuildSeries:
    """The builds that ended in each of the buckets; ``names`` as of ``agent_series``."""
    asked = Range(buckets[0].start, buckets[-1].end)
    starts = [bucket.start for bucket in buckets]
    found = await _by_key(connection, sql.BUILD_BUCKETS, *asked, starts)

    edges = times_of(buckets)

    def made(number: int) -> BuildBucket:
        bucket, times = buckets[number - 1], edges[number - 1]
        return _build_figures(BuildBucket, bucket, found.get(number), **times)

    items = await in_turns(made, range(1, len(buckets) + 1))
    times = {"from_": time_text(asked.start), "to": time_text(asked.end)}
    return BuildSeries(items=items, **times, **names)


async def _long(connection: Connection, statement: str, *arguments: Any) -> _Found:
    """By key, with percentiles instead of the histograms, of which a few are there at a time."""
    cursor = await connection.cursor(statement, *arguments)
    found: dict[Any, Mapping[str, Any]] = {}
    coming = asyncio.create_task(cursor.fetch(_HISTOGRAMS))
    try:
        while rows := await coming:
            # Postgres adds up the next ones in the meantime.
            coming = asyncio.create_task(cursor.fetch(_HISTOGRAMS))
            await asyncio.sleep(0)
            found |= {row["key"]: _without_histogram(row) for row in rows}
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
    return found


def _without_histogram(row: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = dict(row)
    histogram, timed = fields.pop("histogram"), fields["timed"]
    if timed == 1:
        fields["percentiles"] = [fields["duration_sum"]] * 3
    elif timed:
        fields["percentiles"] = DURATIONS.percentiles(histogram, timed, (50, 95, 99))
    return fields


async def _is_worth_it(connection: Connection, units: Units, name: str | None) -> bool:
    """Whether looking up what is counted takes less than reading all rows."""
    if not units.whole:
        return False
    names = (
        1
        if name is not None
        else await connection.fetchval("SELECT count(*) FROM execution_days_until")
    )
    return bool(names * (len(units.whole) + len(units.rest)) <= _LOOKUPS)


def _ends(pieces: list[Range]) -> tuple[list[datetime], list[datetime]]:
    return [piece.start for piece in pieces], [piece.end for piece in pieces]


def error_of(asked: Range) -> float:
    """How far the percentiles of a range may be off."""
    return 0 if asked.days is None else _ERROR


async def _by_key(connection: Connection, statement: str, *arguments: Any) -> _Found:
    return {row["key"]: row for row in await connection.fetch(statement, *arguments)}


def _figures(
    kind: type[_Made],
    asked: Range,
    tasks: Mapping[str, Any] | None,
    executions: Mapping[str, Any] | None,
    **more: Any,
) -> _Made:
    fields = {**_ended(asked, tasks, "tasks"), **more}
    if executions is not None:
        fields["executions"] = executions["executions"]
        fields |= _durations(executions, "duration")
    return kind(**fields)


def _build_figures(
    kind: type[_Made], asked: Range, builds: Mapping[str, Any] | None, **more: Any
) -> _Made:
    durations = {} if builds is None else _durations(builds, "duration_ms")
    return kind(**_ended(asked, builds, "builds"), **durations, **more)


def _ended(asked: Range, row: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    if row is None:
        return {}
    completed, failed = row["completed"], row["failed"]
    finished = completed + failed
    return {
        f"completed_{what}": completed,
        f"failed_{what}": failed,
        "success_rate": shown(success_rate(completed, finished)) if finished else None,
        "throughput": shown(round(finished / asked.hours, 3)),
    }


def _durations(row: Mapping[str, Any], what: str) -> dict[str, Any]:
    if not row["timed"]:
        return {}
    p50, p95, p99 = map(shown, row["percentiles"])
    mean = shown(mean_duration(row["duration_sum"], row["timed"]))
    return {f"avg_{what}": mean, f"p50_{what}": p50, f"p95_{what}": p95, f"p99_{what}": p99}
