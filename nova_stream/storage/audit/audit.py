"""The proof of the product's promise: both caches compared with a recount of the entity rows."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from nova_stream.events.times import time_text
from nova_stream.settings import Settings
from nova_stream.storage.audit import sql
from nova_stream.storage.database import Connection, open_session, snapshot

#: Numbers as Postgres writes them, without loss.
_EXACT = msgspec.json.Decoder(float_hook=Decimal)
_TIMES = ("last_active", "last_build_time")


class Difference(msgspec.Struct, frozen=True):
    """A figure whose cached value is not the recounted one.

    ``row`` is an agent's id, ``builds`` or ``executions of NAME on DAY``, ``figure`` a column.
    Where a whole row is missing or should not be there, ``figure`` is ``row`` and the side without
    it is None.
    """

    row: str
    figure: str
    cache: Any
    recount: Any


class AuditReport(msgspec.Struct, frozen=True):
    """What an audit found; ``agents`` is the number of registered agents."""

    agents: int
    differences: list[Difference]


async def audit(settings: Settings) -> AuditReport:
    """Compare the caches with a recount, in one snapshot and without locks.

    Right while the stream runs. Raises DatabaseUnavailableError, SchemaVersionError.
    """
    async with open_session(settings, "audit") as connection:
        await connection.execute(sql.NO_TIME_LIMIT)
        return await audit_on(connection)


async def audit_on(connection: Connection) -> AuditReport:
    """``audit`` on a connection that is in no transaction; raises what asyncpg raises."""
    async with snapshot(connection):
        agents = await connection.fetchval(sql.COUNT_AGENTS)
        rows = await connection.fetch(sql.AGENT_DIFFERENCES)
        differences = [d for row in rows for d in _differences(row, sql.AGENT_CACHE_COLUMNS)]
        rows = await connection.fetch(sql.BUILD_DIFFERENCES)
        differences += [d for row in rows for d in _differences(row, sql.BUILD_CACHE_FIGURES)]
        differences += await day_differences(connection)
    return AuditReport(agents=agents, differences=differences)


async def day_differences(connection: Connection) -> list[Difference]:
    """Days and hours of executions that are counted already, and not as they are counted now. Needs
    a snapshot; raises what asyncpg raises.
    """
    found: list[Difference] = []
    for statement, figures in sql.MISCOUNTED:
        rows = await connection.fetch(statement)
        found += [d for row in rows for d in _differences(row, figures)]
    return found


def _differences(row: asyncpg.Record, figures: tuple[str, ...]) -> list[Difference]:
    cache, recount = _side(row["cache"], figures), _side(row["recount"], figures)
    if cache is None or recount is None:
        return [Difference(row["row"], "row", cache, recount)]
    return [
        Difference(row["row"], figure, cache[figure], recount[figure])
        for figure in figures
        if cache[figure] != recount[figure]
    ]


def _side(text: str | None, figures: tuple[str, ...]) -> dict[str, Any] | None:
    """One side's figures; None where it has no row."""
    if text is None:
        return None
    values = _EXACT.decode(text)
    return {figure: _shown(figure, values[figure]) for figure in figures}


def _shown(figure: str, value: Any) -> Any:
    """The value as the contract writes it; a time that has no such form as Postgres writes it, and
    as text a number that is no double.
    """
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    if figure not in _TIMES or value is None or value.endswith("infinity"):
        return value
    instant = datetime.fromisoformat(value)
    return value if instant.microsecond % 1000 else time_text(instant)
