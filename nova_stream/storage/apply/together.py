"""Statements that are sent as one, so that a flush waits for one answer instead of several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from nova_stream.storage.database import Connection

_PARAMETER = re.compile(r"\$(\d+)")


async def execute(connection: Connection, *parts: Sequence[Any]) -> None:
    """Execute statements that write rows, each followed by its arguments.

    They see the same snapshot, none what another writes, and are done in any order: no two may
    write the same row. Raises what asyncpg raises.
    """
    if parts:
        statement = joined(tuple(text for text, *_ in parts))
        await connection.execute(statement, *chain.from_iterable(part[1:] for part in parts))


@lru_cache
def joined(statements: tuple[str, ...]) -> str:
    """One statement that does what all of them do; its parameters are theirs, one after another."""
    texts: list[str] = []
    before = 0
    for statement in statements:
        count = max(map(int, _PARAMETER.findall(statement)), default=0)
        shift = before
        texts.append(_PARAMETER.sub(lambda found: f"${int(found[1]) + shift}", statement))  # noqa: B023 - called at once
        before += count
    *first, last = texts
    if not first:
        return last
    named = ", ".join(f"part_{n} AS ({text})" for n, text in enumerate(first))
    return f"WITH {named} {last}"
