"""What nova-stream's rows must be, read from the source's tables in the plainest way.

Nothing is shared with the product's own comparison (``nova-stream audit --source``): the driver
reads each column as what it is, and one line an entity says what becomes of it. Times keep their
milliseconds, a time without a zone is UTC, a date is its midnight, an interval is milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from nova_stream.storage.database import Connection
from tests.recount import recount
from tests.sources.postgres_source import TABLES

Row = Mapping[str, Any]

_MICROSECOND = timedelta(microseconds=1)


def text(value: Any) -> str | None:
    """An id or a text."""
    if value is None:
        return None
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def instant(value: datetime | date | None) -> datetime | None:
    """An instant in UTC with milliseconds; the driver's way to say infinity is no instant."""
    if value is None or value.year in {1, 9999}:
        return None
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    value = value.astimezone(UTC)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def milliseconds(value: timedelta | None) -> Decimal | None:
    """A duration."""
    return None if value is None else Decimal(value // _MICROSECOND) / 1000


def same(value: Any) -> Any:
    return value


def texts(value: list[Any] | None) -> list[str | None] | None:
    return None if value is None else [text(item) for item in value]


def from_json(value: str | None) -> Any:
    return None if value is None else json.loads(value)


#: How each column of the source is read, by table; the columns that nova-stream knows.
READERS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "agents": {
        "id": text,
        "name": text,
        "role": text,
        "domain": text,
        "model": text,
        "system_prompt": text,
        "gates": from_json,
        "created_at": instant,
    },
    "builds": {
        "id": text,
        "prd_id": text,
        "prd_name": text,
        "status": text,
        "started_at": instant,
        "completed_at": instant,
        "error": text,
    },
    "tasks": {
        "id": text,
        "build_id": text,
        "task_id": text,
        "title": text,
        "agent": text,
        "status": text,
        "dependencies": texts,
        "phase": same,
        "attempts": same,
        "created_at": instant,
        "output": text,
        "error": text,
    },
    "executions": {
        "id": text,
        "task_id": text,
        "agent": text,
        "model": text,
        "prompt": text,
        "response": text,
        "gates_passed": same,
        "duration": milliseconds,
        "timestamp": instant,
        "error": text,
    },
    "activities": {
        "id": text,
        "user_id": text,
        "agent_name": text,
        "event_type": text,
        "task_id": text,
        "details": text,
        "timestamp": instant,
    },
    "users": {
        "id": text,
        "user_id": text,
        "email": text,
        "tier": text,
        "global_wisdom_opt_in": same,
        "created_at": instant,
        "last_active_at": instant,
    },
}

#: nova-stream's tables, by the source's.
OURS = {
    **{table: table for table in TABLES},
    "activities": "agent_activity_feed",
    "users": "user_profiles",
}


async def source_rows(connection: Connection, table: str) -> dict[str, Row]:
    """The expected rows of a table by id."""
    readers = READERS[table]
    columns = ", ".join(f'"{name}"' for name in readers)
    found: dict[str, Row] = {}
    for record in await connection.fetch(f"SELECT {columns} FROM {table}"):
        row = {name: read(record[name]) for name, read in readers.items()}
        if "agent" in row and row["agent"] is None:
            row["agent"] = ""  # as counted: a task or an execution of nobody
        found[row["id"]] = row
    return found


async def our_rows(connection: Connection, table: str) -> dict[str, Row]:
    """nova-stream's rows of the same entity, tombstones left out."""
    found: dict[str, Row] = {}
    query = f"SELECT * FROM {OURS[table]} WHERE deleted_at IS NULL"
    for record in await connection.fetch(query):
        document = json.loads(record["doc"])
        row = dict(record)
        row["system_prompt"] = document.get("systemPrompt")
        row["gates"] = document.get("gates")
        if row.get("dependencies") is not None:
            row["dependencies"] = json.loads(row["dependencies"])
        found[record["id"]] = {name: row[name] for name in READERS[table]}
    return found


def differences(table: str, expected: dict[str, Row], found: dict[str, Row]) -> list[str]:
    """One line for each value, or row, that is not what the source has."""
    lines = [f"{table} {id_}: missing" for id_ in sorted(expected.keys() - found.keys())]
    lines += [f"{table} {id_}: surplus" for id_ in sorted(found.keys() - expected.keys())]
    for id_ in sorted(expected.keys() & found.keys()):
        for name, wanted in expected[id_].items():
            value = found[id_][name]
            if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
                lines.append(f"{table} {id_}.{name}: {_short(value)}, source has {_short(wanted)}")
    return lines


async def figures_differences(
    connection: Connection, source: Mapping[str, dict[str, Row]]
) -> list[str]:
    """The caches against the plain recount of the source's rows."""
    wanted = recount(
        *(
            [_document(row) for row in source[table].values()]
            for table in ("agents", "builds", "tasks", "executions")
        )
    )
    lines = []
    cached = {
        row["agent_id"]: row for row in await connection.fetch("SELECT * FROM agent_stats_cache")
    }
    if cached.keys() != wanted.agents.keys():
        lines.append(f"cached agents: {sorted(cached)}, source has {sorted(wanted.agents)}")
    compared = [(id_, cached[id_], wanted.agents[id_]) for id_ in cached.keys() & wanted.agents]
    builds = await connection.fetchrow("SELECT * FROM build_stats_cache")
    for whose, row, figures in [*compared, ("builds", builds, wanted.builds)]:
        for name in figures.__struct_fields__:
            value, right = row[name], getattr(figures, name)
            if value != right:
                lines.append(f"figure {name} of {whose}: {value}, source has {right}")
    return lines


def _document(row: Row) -> dict[str, Any]:
    return {
        _camel(name): value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) < 120 else f"{said[:50]}… ({len(said)} characters)"
