"""Builds that run and do not move, and what became of the changes published about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance import sql


class StalledBuild(msgspec.Struct, frozen=True):
    """A build as stored; ``doc`` is its document as JSON text."""

    id: str
    version: int
    version_minor: int
    partition: int
    doc: str
    started_at: datetime
    version_generation: int = 0


class Fate(msgspec.Struct, frozen=True):
    """What became of a published change: whether it or a newer one is ``applied``, and whether
    the build stands as it says.
    """

    id: str
    applied: bool
    ours: bool


async def stalled_builds(
    connection: Connection,
    basis: str,
    cutoff: datetime,
    after: StalledBuild | None,
    rows: int,
) -> list[StalledBuild]:
    """Up to ``rows`` running builds behind ``after`` that nothing has happened to since before
    ``cutoff``, oldest start first.

    By the basis ``started`` that is the build's start alone; by ``activity`` also its tasks'
    changes and their executions. A build without a start is not stalled.
    """
    place = ("-infinity", "") if after is None else (after.started_at.isoformat(), after.id)
    found = await connection.fetch(sql.STALLED_BUILDS[basis], cutoff, *place, rows)
    return [
        StalledBuild(
            r["id"],
            r["version"],
            r["version_minor"],
            r["src_partition"],
            r["doc"],
            r["started_at"],
            r["version_generation"],
        )
        for r in found
    ]


async def fates(
    connection: Connection,
    published: Sequence[tuple[str, int, int, str, int]],
) -> list[Fate]:
    """What became of changes, each given as build, version, minor, the activity's id, and the
    generation of the version's source.
    """
    columns = [list(column) for column in zip(*published, strict=True)]
    rows = await connection.fetch(sql.STALL_APPLIED, *columns)
    return [Fate(id=r["id"], applied=r["applied"], ours=r["ours"]) for r in rows]
