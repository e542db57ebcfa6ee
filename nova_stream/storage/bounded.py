"""Lists that stop at a number of bytes, so that no list is larger than its reader has room for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from nova_stream.storage.database import Connection

_UPTO, _BEFORE = "bytes_upto", "bytes_before"


class Rows(NamedTuple):
    """The first rows of a statement, their size as text, and whether it has more of them."""

    rows: list[dict[str, Any]]
    size: int
    more: bool


async def fetch_within(
    connection: Connection, statement: str, *arguments: Any, rows: int, size: int
) -> Rows:
    """The rows of ``statement`` until there are ``rows`` of them, or ``size`` bytes; a first row
    that is larger comes all the same.

    The statement limits itself to one row more than ``rows``. Raises what asyncpg raises.
    """
    bounded = _bounded(statement, len(arguments) + 1)
    found = await connection.fetch(bounded, *arguments, size)
    kept: list[dict[str, Any]] = []
    used = 0
    for record in found[:rows]:
        if kept and used >= size:
            break
        row = dict(record)
        used = row.pop(_UPTO)
        del row[_BEFORE]
        kept.append(row)
    return Rows(kept, used, len(found) > len(kept))


@lru_cache(maxsize=256)
def _bounded(statement: str, parameter: int) -> str:
    """``statement`` up to the row behind the one that fills ``$parameter`` bytes: it tells that
    there are more. Windows without an order of their own keep that of their rows.
    """
    # Made from our own statements, never from input.
    return f"""
SELECT * FROM (
    SELECT q.*, sum(octet_length(q::text)) OVER (ROWS UNBOUNDED PRECEDING) AS {_UPTO},
        sum(octet_length(q::text)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING)
            AS {_BEFORE}
    FROM ({statement}) q
) w WHERE coalesce({_BEFORE}, 0) < ${parameter}"""  # noqa: S608
