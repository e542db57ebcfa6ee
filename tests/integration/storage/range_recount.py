"""Figures of ranges of time beside a plain recount of the rows, both in one snapshot."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import msgspec

from nova_stream.clock import EPOCH
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.places import AgentPlace, Cursor
from nova_stream.storage.stats import ranges
from nova_stream.storage.stats.buckets import UNITS, Range
from nova_stream.storage.stats.range_rows import (
    AgentBucket,
    AgentRangeRow,
    AgentsRange,
    BuildFigures,
    Figures,
)
from nova_stream.storage.stats.read import Bounds
from tests.recount import Done, Ended, Executed, recount_range

_TASKS = "SELECT agent, status, done_at, failed_at FROM tasks WHERE deleted_at IS NULL"
_EXECUTIONS = "SELECT agent, timestamp, duration FROM executions WHERE deleted_at IS NULL"
_BUILDS = "SELECT status, started_at, completed_at FROM builds WHERE deleted_at IS NULL"

_MILLI = timedelta(milliseconds=1)


class _Rows:
    """What the rows say ended and was executed."""

    def __init__(self, tasks: list[Any], executions: list[Any], builds: list[Any]) -> None:
        self.tasks = [
            Ended(row["agent"], row["status"], row["done_at"] or row["failed_at"])
            for row in tasks
            if row["status"] in ("done", "failed")
        ]
        self.executions = [
            Executed(row["agent"], row["timestamp"], _fraction(row["duration"]))
            for row in executions
            if row["timestamp"] is not None
        ]
        self.builds = [
            Ended("", row["status"], row["completed_at"], self._duration(row))
            for row in builds
            if row["status"] in ("completed", "failed") and row["completed_at"] is not None
        ]

    @staticmethod
    def _duration(row: Any) -> Fraction | None:
        if row["status"] != "completed" or row["started_at"] is None:
            return None
        return Fraction((row["completed_at"] - row["started_at"]) // _MILLI)

    def times(self) -> list[datetime]:
        return [
            *[item.at for item in (*self.tasks, *self.builds)],
            *[item.at for item in self.executions],
        ]

    def of(self, name: str | None, asked: Range) -> Done:
        mine = [t for t in self.tasks if name in (None, t.agent)]
        executed = [e for e in self.executions if name in (None, e.agent)]
        return _as_doubles(recount_range(mine, executed, *asked))

    def of_builds(self, asked: Range) -> Done:
        timed = [Executed("", b.at, b.duration) for b in self.builds if b.duration is not None]
        found = _as_doubles(recount_range(self.builds, timed, *asked))
        return msgspec.structs.replace(found, executions=0)


async def range_differences(connection: Connection, dice: random.Random) -> list[str]:
    """Where the figures of a range, and of its pieces, are not those of the rows."""
    async with snapshot(connection):
        rows = _Rows(*[await connection.fetch(q) for q in (_TASKS, _EXECUTIONS, _BUILDS)])
        times = rows.times()
        if not times:
            return []
        far = dice.choice([timedelta(0), timedelta(days=2)])
        cuts = {dice.choice(times) + dice.choice([-1, 0, 0, 1]) * _MILLI for _ in range(5)}
        # Whole units may be counted already. No dice: they decide what is delivered, too.
        unit = (None, *UNITS.values())[len(times) % (1 + len(UNITS))]
        if unit is not None:
            cuts = {EPOCH + (cut - EPOCH) // unit * unit for cut in cuts}
        ordered = sorted({*cuts, min(times) - far, max(times) + _MILLI + far})
        ordered = ordered[dice.choice([0, 0, 1]) :]
        pieces = [Range(a, b) for a, b in pairwise(ordered)]
        return [found async for found in _differences(connection, rows, pieces)] if pieces else []


async def _everyone(connection: Connection, asked: Range) -> AgentsRange:
    """All pages as one, which are the same read back: what all did together is the same on each."""
    bounds = Bounds(3, 1_000_000)
    pages: list[list[AgentRangeRow]] = []
    cursor: Cursor[AgentPlace] | None = None
    while True:
        answer, page = await ranges.agents_range(
            connection, asked, bounds, cursor, unregistered=True
        )
        pages.append(answer.items)
        if page.next is None:
            break
        cursor = page.next
    for rows in pages[-2::-1]:
        assert page.prev is not None
        back, page = await ranges.agents_range(
            connection, asked, bounds, page.prev, unregistered=True
        )
        assert back.items == rows
    answer.items = [row for rows in pages for row in rows]
    return answer


async def _differences(
    connection: Connection, rows: _Rows, pieces: list[Range]
) -> AsyncIterator[str]:
    asked = Range(pieces[0].start, pieces[-1].end)
    everyone = await _everyone(connection, asked)
    names = {"bucket": "", "zone": ""}
    together = await ranges.agent_series(connection, pieces, None, unregistered=True, **names)
    assert together is not None
    compared: list[tuple[str | None, Range, Figures]] = [(None, asked, everyone.overall)]
    compared += [(None, *pair) for pair in zip(pieces, together.items, strict=True)]
    for item in everyone.items:
        compared.append((item.agent_name, asked, item))
    shown = {item.agent_name for item in everyone.items}
    for name in shown:
        one = await ranges.agent_range(connection, asked, name, unregistered=True)
        series = await ranges.agent_series(connection, pieces, name, unregistered=True, **names)
        assert one is not None
        assert series is not None
        compared.append((name, asked, one))
        compared += [(name, *pair) for pair in zip(pieces, series.items, strict=True)]
    for who, piece, found in compared:
        wanted, done = rows.of(who, piece), _done(found, "tasks", "duration")
        if (
            together.percentile_error
            if isinstance(found, AgentBucket)
            else everyone.percentile_error
        ):
            done = _as_exact(done, wanted)
        if wanted != done:
            yield f"{who} from {piece} is {found}, wanted {wanted}"
    builds = await ranges.builds_range(connection, asked)
    pairs: list[tuple[Range, BuildFigures]] = [(asked, builds)]
    of_pieces = await ranges.builds_series(connection, pieces, **names)
    pairs += zip(pieces, of_pieces.items, strict=True)
    for piece, figures in pairs:
        if (wanted := rows.of_builds(piece)) != _done(figures, "builds", "duration_ms"):
            yield f"builds from {piece} are {figures}, wanted {wanted}"
    counted = {task.agent for task in rows.tasks} | {run.agent for run in rows.executions}
    if counted - shown:
        yield f"{counted - shown} are missing"


def _done(figures: Any, what: str, duration: str) -> Done:
    percentiles = [getattr(figures, f"p{percent}_{duration}") for percent in (50, 95, 99)]
    mean = getattr(figures, f"avg_{duration}")
    return Done(
        completed=getattr(figures, f"completed_{what}"),
        failed=getattr(figures, f"failed_{what}"),
        success_rate=figures.success_rate,
        executions=getattr(figures, "executions", 0),
        mean=mean,
        percentiles=None if mean is None else tuple(percentiles),
    )


def _as_exact(done: Done, wanted: Done) -> Done:
    """With the wanted percentiles, where those that were found are near enough."""
    found, exact = done.percentiles or (), wanted.percentiles or ()
    if len(found) == len(exact) and all(
        _is_near(float(one), float(other)) for one, other in zip(found, exact, strict=True)
    ):
        return msgspec.structs.replace(done, percentiles=wanted.percentiles)
    return done


def _is_near(found: float, wanted: float) -> bool:
    if wanted < 0.001 or wanted >= 1e12:
        return found == min(wanted // 0.001, 1e12)
    return abs(found - wanted) <= 0.01 * wanted


def _as_doubles(done: Done) -> Done:
    if done.percentiles is None:
        return done
    return msgspec.structs.replace(done, percentiles=tuple(map(float, done.percentiles)))


def _fraction(duration: Any) -> Fraction | None:
    return None if duration is None else Fraction(duration)
