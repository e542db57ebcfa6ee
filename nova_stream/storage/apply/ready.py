"""A flush's connection made ready, so that the first flushes are no slower than those that follow.

What Postgres reads of its tables and plans at the first execution of a statement takes ten times
what a small flush takes.
"""

from __future__ import annotations

from collections.abc import Iterator

from nova_stream.events.change import VersionKind
from nova_stream.storage.apply import figures_sql, sql, together, upserts_sql
from nova_stream.storage.apply.flat_array import FlatArray
from nova_stream.storage.database import Connection

#: What flushes mostly end with, in the order in which they send it. Others are planned when they
#: are sent for the first time.
_MOVED = (figures_sql.OPEN_DAYS, figures_sql.ADD_TO_AGENTS)
_ENDS = (
    (),
    _MOVED[1:],
    _MOVED,
    (figures_sql.REFRESH_BUILDS,),
    (*_MOVED[1:], figures_sql.REFRESH_BUILDS),
    (*_MOVED, figures_sql.REFRESH_BUILDS),
    (figures_sql.DROP_AGENTS_FROM_CACHE, figures_sql.REFRESH_AGENTS),
)

_KINDS = "SELECT DISTINCT version_kind FROM stream_topics"


async def make_ready(connection: Connection) -> None:
    """Have everything planned that flushes of the topics that there are send.

    Nothing is written. Raises what asyncpg raises; then the connection is closed.
    """
    try:
        kinds = [row["version_kind"] for row in await connection.fetch(_KINDS)]
        await connection.execute(sql.BEGIN)
        await connection.fetch(sql.LOCK_POSITIONS, [], [])
        for by_lsn in {kind == VersionKind.LSN for kind in kinds if kind} or {False}:
            for upsert, arguments in _upserts(by_lsn=by_lsn):
                await connection.fetch(upsert, *arguments)
        await together.plan(connection, (figures_sql.LOCK_FIGURES,))
        for end in _ENDS:
            await together.plan(connection, (*end, sql.MOVE_POSITIONS))
        await connection.execute(sql.ROLLBACK)
    except BaseException:
        connection.terminate()
        raise


def _upserts(*, by_lsn: bool) -> Iterator[tuple[str, list[str | FlatArray | None]]]:
    """The upserts of all entities, each with no rows."""
    for entity, upsert in (upserts_sql.UPSERT_BY_LSN if by_lsn else upserts_sql.UPSERT).items():
        arrays = upserts_sql.topic_parameter(entity, by_lsn=by_lsn) - 2
        columns = [FlatArray([]) for _ in range(arrays)]
        yield upsert, ["", *columns, *upserts_sql.behind_arrays(entity, "", None)]
