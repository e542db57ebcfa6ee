"""Statements that are sent together, so that a flush waits for one answer instead of several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary

from nova_stream.storage.apply.sql import COMMIT
from nova_stream.storage.database import Connection

_PARAMETER = re.compile(r"\$(\d+)")


#: A statement that writes rows, followed by its arguments, which are arrays.
Part: TypeAlias = "tuple[Any, ...]"

#: What each connection calls the statements that it has prepared. asyncpg's own would be closed
#: when nobody holds them, and hold their connection.
_names: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()
_numbers = count(1)


async def commit(connection: Connection, *steps: Sequence[Part]) -> None:
    """Execute steps one after another, then commit the transaction.

    Each step sees what was committed before it begins. The parts of one see the same snapshot, none
    what another writes, and are done in any order: no two may write the same row. Raises what
    asyncpg raises; then nothing is committed, unless the answer was lost.
    """
    texts = []
    for parts in steps:
        name = await _prepared(connection, joined(tuple(text for text, *_ in parts)))
        values = [array_literal(each) for part in parts for each in part[1:]]
        texts.append(_execute(name, values))
    # Only texts without parameters can be sent several at once.
    await connection.execute("; ".join([*texts, COMMIT]))


async def plan(connection: Connection, statements: tuple[str, ...]) -> None:
    """Prepare and plan what ``commit`` sends as a step of these statements, without executing it.

    Each parameter must be an array. Raises what asyncpg raises.
    """
    statement = joined(statements)
    name = await _prepared(connection, statement)
    await connection.execute("EXPLAIN " + _execute(name, ["'{}'"] * _parameters(statement)))


async def _prepared(connection: Connection, statement: str) -> str:
    """The name of a statement that is planned once."""
    names = _names.setdefault(connection, {})
    if (name := names.get(statement)) is None:
        # Never tried twice: where the answer was lost, the statement may have its name.
        name = f"nova_{next(_numbers)}"
        await connection.execute(f"PREPARE {name} AS {statement}")
        names[statement] = name
    return name


def array_literal(values: Sequence[str] | Sequence[int | None] | Sequence[datetime]) -> str:
    """An array of one dimension as it is written in SQL, whatever the texts in it.

    Raises ValueError for a text with NUL, which Postgres has none with.
    """
    if values and isinstance(values[0], str):
        inside = _texts(cast("Sequence[str]", values))
    elif values and isinstance(values[0], int):
        inside = ",".join(map(str, values)).replace("None", "NULL")
    else:
        inside = ",".join(map(_element, values))
    return f"E'{{{inside}}}'"


def _texts(values: Sequence[str]) -> str:
    # All at once: a flush may have thousands.
    together = "\0".join(values)
    if together.count("\0") >= len(values):
        raise ValueError("a text with NUL")
    # In the array a backslash before it, and each of the two twice in the string.
    together = together.replace("\\", r"\\\\").replace('"', r"\\" + '"').replace("'", "''")
    return '"' + together.replace("\0", '","') + '"'


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    return f'"{value.isoformat()}"' if isinstance(value, datetime) else str(value)


@lru_cache
def joined(statements: tuple[str, ...]) -> str:
    """One statement that does what all of them do; its parameters are theirs, one after another."""
    texts: list[str] = []
    before = 0
    for statement in statements:
        shift = before
        texts.append(_PARAMETER.sub(lambda found: f"${int(found[1]) + shift}", statement))  # noqa: B023 - called at once
        before += _parameters(statement)
    *first, last = texts
    if not first:
        return last
    named = ", ".join(f"part_{n} AS ({text})" for n, text in enumerate(first))
    return f"WITH {named} {last}"


def _execute(name: str, values: Sequence[str]) -> str:
    return f"EXECUTE {name}({', '.join(values)})" if values else f"EXECUTE {name}"


def _parameters(statement: str) -> int:
    return max(map(int, _PARAMETER.findall(statement)), default=0)
