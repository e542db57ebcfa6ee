"""The executions of an agent that took longest in a range of time, and how that compares with the
time before.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec

from nova_stream.storage.bounded import fetch_within
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.lists.catalogue import EXECUTIONS
from nova_stream.storage.lists.rows import ListedExecution
from nova_stream.storage.stats.buckets import Range
from nova_stream.storage.stats.compared import (
    BeforeFrom,
    Compared,
    PercentileError,
    RangeEnd,
    before,
    compared,
    longer_than,
    times_of,
)
from nova_stream.storage.stats.ranges import executions_by
from nova_stream.storage.stats.read import Bounds, in_turns, known_name, read_row
from nova_stream.storage.stats.rows import Time

# The index of an agent's times has the durations in it, too: rows are looked up for those alone
# that are shown.
_SLOWEST = """
WITH longest AS MATERIALIZED (
    SELECT DISTINCT w.timestamp, w.duration FROM (
        SELECT timestamp, duration FROM executions
        WHERE agent = $1 AND timestamp >= $2 AND timestamp < $3 AND duration IS NOT NULL
        ORDER BY duration DESC, timestamp DESC LIMIT $4
    ) w
)
SELECT {columns} FROM longest JOIN executions t USING (timestamp, duration)
WHERE t.agent = $1 ORDER BY t.duration DESC, t.timestamp DESC, t.id DESC LIMIT $4
"""
_FIGURES = _SLOWEST.format(columns=EXECUTIONS.columns)
_DOCUMENTS = _SLOWEST.format(columns=f"{EXECUTIONS.columns}, {EXECUTIONS.documents}")
_LONGER = """
SELECT count(*) FROM executions
WHERE agent = $1 AND timestamp >= $2 AND timestamp < $3 AND duration >= $4
"""


class SlowestExecutions(Compared, rename="camel", kw_only=True):
    """The longest first, of equal ones the newest; and what can be said of all of them."""

    before_from: BeforeFrom
    from_: Time = msgspec.field(name="from")
    to: RangeEnd
    percentile_error: PercentileError
    min_duration: Annotated[
        int | None,
        msgspec.Meta(
            description="The first whole millisecond above `p95Before`: as `minDuration` of "
            "`GET /executions` it gives exactly the `slower` ones. Null without a p95 of before."
        ),
    ] = None
    slower: Annotated[
        int | None,
        msgspec.Meta(description="Executions in the range that took `minDuration` or more."),
    ] = None
    items: list[ListedExecution]


async def slowest(
    connection: Connection,
    name: str,
    asked: Range,
    bounds: Bounds,
    *,
    unregistered: bool,
    documents: bool,
) -> SlowestExecutions | None:
    """As one state; None where ``known_name`` finds none. Raises what asyncpg raises, and needs a
    connection that is in no transaction.
    """
    statement = _DOCUMENTS if documents else _FIGURES
    earlier = before(asked)
    async with snapshot(connection):
        if await known_name(connection, name, unregistered=unregistered) is None:
            return None
        now = await executions_by(connection, asked, name)
        then = await executions_by(connection, earlier, name)
        fields: dict[str, Any] = compared(now.get(name), then.get(name))
        least = longer_than(fields["p95_before"])
        if least is not None:
            slower = await connection.fetchval(_LONGER, name, *asked, least)
            fields |= {"min_duration": least, "slower": slower}
        arguments = (name, asked.start, asked.end, bounds.rows)
        found = await fetch_within(connection, statement, *arguments, **bounds._asdict())
    return SlowestExecutions(
        **times_of(asked),
        items=await in_turns(partial(read_row, ListedExecution), found.rows),
        **fields,
    )
