"""How long executions took in a range of time, beside as much time right before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from nova_stream.clock import EPOCH
from nova_stream.events.times import time_text
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.stats import ranges_sql as sql
from nova_stream.storage.stats.buckets import Range
from nova_stream.storage.stats.ranges import error_of, executions_by
from nova_stream.storage.stats.read import shown
from nova_stream.storage.stats.rows import Time

#: Executions with a duration that a percentile rests on, on either side; of fewer chance decides.
FEW = 20

BeforeFrom = Annotated[
    Time, msgspec.Meta(description="Start of the time before, which ends at from.")
]
RangeEnd = Annotated[Time, msgspec.Meta(description="The end, which is not in the range.")]
PercentileError = Annotated[
    float, msgspec.Meta(description="How far percentiles may be off: 0.01 or 0.")
]
_Timed = Annotated[int, msgspec.Meta(description="Executions with a duration, in the range.")]
_TimedBefore = Annotated[int, msgspec.Meta(description="The same in the time before.")]
_P95 = Annotated[
    float | None,
    msgspec.Meta(
        description="Milliseconds that 95 % in the range do not exceed; null without one."
    ),
]
_P95Before = Annotated[float | None, msgspec.Meta(description="The same in the time before.")]
_Change = Annotated[
    float | None,
    msgspec.Meta(
        description="By how many percent `p95` is more than `p95Before`, rounded to one decimal; "
        "null where one of them is null, or that of before is 0."
    ),
]
_Few = Annotated[
    bool,
    msgspec.Meta(
        description=f"The change rests on fewer than {FEW} executions on one of the sides, so that "
        "chance decides."
    ),
]


class Compared(msgspec.Struct, rename="camel", kw_only=True):
    """The p95 of an agent's durations in a range, and in the time before."""

    executions: _Timed = 0
    executions_before: _TimedBefore = 0
    p95: _P95 = None
    p95_before: _P95Before = None
    change: _Change = None
    few: _Few = True


class ComparedAgent(Compared, rename="camel", kw_only=True):
    """An agent, or a name that no registered agent has (``registered`` false)."""

    agent_id: str | None
    agent_name: str
    role: str | None
    registered: bool


class Comparison(msgspec.Struct, rename="camel", kw_only=True):
    """Agents with an execution in the range or in the time before. Those that got slower the most
    come first, behind them those of few executions.
    """

    before_from: BeforeFrom
    from_: Time = msgspec.field(name="from")
    to: RangeEnd
    percentile_error: PercentileError
    items: list[ComparedAgent]
    more: Annotated[bool, msgspec.Meta(description="Whether there are more than `limit`.")]


def before(asked: Range) -> Range:
    """As much time right before a range, as far as there is any."""
    length = asked.end - asked.start
    return Range(max(EPOCH, asked.start - length), asked.start)


def compared(now: Mapping[str, Any] | None, then: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of ``Compared``, of rows with ``timed`` and ``percentiles``."""
    counts = [0 if side is None else side["timed"] for side in (now, then)]
    p95, p95_before = (_p95(side) for side in (now, then))
    change = None
    if p95 is not None and p95_before:
        change = shown(round(100 * (p95 - p95_before) / p95_before, 1))
    return {
        "executions": counts[0],
        "executions_before": counts[1],
        "p95": p95,
        "p95_before": p95_before,
        "change": change,
        "few": min(counts) < FEW,
    }


async def compare_agents(
    connection: Connection, asked: Range, rows: int, *, unregistered: bool
) -> Comparison:
    """The first ``rows`` of all agents, as one state. Raises what asyncpg raises, and needs a
    connection that is in no transaction.
    """
    earlier = before(asked)
    async with snapshot(connection):
        names = await connection.fetch(sql.NAMES["<"], unregistered, None, None, None)
        now = await executions_by(connection, asked)
        then = await executions_by(connection, earlier)
    items = [
        ComparedAgent(**row, **compared(now.get(name), then.get(name)))
        for row in names
        if (name := row["agent_name"]) in now or name in then
    ]
    items.sort(key=_place)
    return Comparison(
        **times_of(asked),
        items=items[:rows],
        more=len(items) > rows,
    )


def times_of(asked: Range) -> dict[str, Any]:
    """The fields of an answer that say what is compared, and how far its percentiles may be off."""
    earlier = before(asked)
    return {
        "before_from": time_text(earlier.start),
        "from_": time_text(asked.start),
        "to": time_text(asked.end),
        "percentile_error": max(error_of(asked), error_of(earlier)),
    }


def _place(item: ComparedAgent) -> tuple[bool, bool, float, str]:
    """What can be told comes first, the largest change at its head."""
    none = item.change is None
    return (none, item.few, -(item.change or 0), item.agent_name)


def _p95(row: Mapping[str, Any] | None) -> float | None:
    if row is None or not row["timed"]:
        return None
    found: float = shown(row["percentiles"][1])
    return found


def longer_than(p95: float | None) -> int | None:
    """The first whole millisecond above a percentile; None of none."""
    return None if p95 is None else max(0, math.floor(p95) + 1)
