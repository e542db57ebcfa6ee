"""Reading the lists of the storage for a command, which shows as many rows as it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nova_stream.storage.database import Connection
    from nova_stream.storage.lists.statements import Question

#: More bytes than all rows have.
ALL_BYTES = 2**40


async def first_rows(
    connection: Connection, question: Question, limit: int, *, longest: bool = False
) -> tuple[list[Any], bool]:
    """The first rows that are wanted, and whether there are more: of pages that hold few, as many
    as it takes. With ``longest`` a question about executions gives those first that took longest.
    """
    from nova_stream.storage.lists.longest import read_longest
    from nova_stream.storage.lists.read import read_page
    from nova_stream.storage.stats.read import Bounds

    read: Any = read_longest if longest else read_page
    page = await read(connection, question, Bounds(limit, ALL_BYTES))
    rows = list(page.rows)
    while page.next is not None and len(rows) < limit:
        page = await read(connection, question, Bounds(limit - len(rows), ALL_BYTES), page.next)
        rows += page.rows
    return rows, page.next is not None
