"""The stream's state as the database knows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from nova_stream.events.change import Entity
from nova_stream.events.times import time_text
from nova_stream.kafka.model import Applied, Key
from nova_stream.settings import Settings
from nova_stream.storage import sql_status
from nova_stream.storage.apply import positions, sql
from nova_stream.storage.database import Connection, State, snapshot
from nova_stream.storage.stats.rows import Time

_AGENTS, _BUILDS = "computeAgentStats", "refreshBuildStats"


class AuditRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The last recount by a job: how many figures were not as counted."""

    at: Time
    drift: int
    run_id: int


class HeldBack(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Up to so many records of a partition that cannot be read before a transaction has ended.

    The producer's number and name (transactional id) are null where the broker does not tell.
    """

    topic: str
    partition: int
    records: int
    producer_id: int | None
    transactional_id: str | None
    last_write_at: Time | None


class StreamStatus(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How the stream is doing; what cannot be told at the moment is null."""

    database_up: bool
    database_state: Annotated[
        State,
        msgspec.Meta(description="silent: it takes no notice; refusing: it lets nobody in."),
    ]
    kafka_up: bool
    lag: Annotated[int | None, msgspec.Meta(description="Records that are there to be applied.")]
    held_back: Annotated[
        list[HeldBack] | None,
        msgspec.Meta(description="What open transactions of producers hold back; it is no lag."),
    ]
    partitions: Annotated[int | None, msgspec.Meta(description="Partitions that are followed.")]
    throughput: Annotated[
        float | None,
        msgspec.Meta(description="Records a second, over up to the last ten seconds."),
    ]
    freshness_ms: Annotated[
        float | None,
        msgspec.Meta(description="How old the newest applied change was when it was committed."),
    ]
    last_applied_at: Time | None
    open_dead_letters: int | None
    last_audit: Annotated[AuditRow | None, msgspec.Meta(description="By computeAgentStats.")]
    last_build_audit: Annotated[AuditRow | None, msgspec.Meta(description="By refreshBuildStats.")]
    workers: Annotated[int | None, msgspec.Meta(description="Members of the consumer group.")]


class StreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the database knows, as one state."""

    positions: dict[Key, Applied]
    applied_at: datetime | None
    freshness_ms: float | None
    open_dead_letters: int
    agents_audit: AuditRow | None
    builds_audit: AuditRow | None


async def stream_facts(connection: Connection, settings: Settings) -> StreamFacts:
    """Read it all; raises what asyncpg raises, and needs a connection that is in no transaction."""
    topics = (settings.topic(Entity.EXECUTIONS), settings.topic(Entity.ACTIVITIES))
    async with snapshot(connection):
        rows = await connection.fetch(sql.STANDING)
        freshness = await connection.fetchval(sql_status.FRESHNESS, *topics)
        letters = await connection.fetchval(sql_status.OPEN_DEAD_LETTERS)
        audits = {
            row["job"]: AuditRow(
                at=time_text(row["ended_at"]),
                drift=(msgspec.json.decode(row["result"] or "{}")).get("drift", 0),
                run_id=row["id"],
            )
            for row in await connection.fetch(sql_status.AUDITS, [_AGENTS, _BUILDS])
        }
    return StreamFacts(
        positions=positions.by_partition(rows),
        applied_at=max((r["updated_at"] for r in rows if r["next_offset"]), default=None),
        freshness_ms=None if freshness is None else round(float(freshness), 1),
        open_dead_letters=letters,
        agents_audit=audits.get(_AGENTS),
        builds_audit=audits.get(_BUILDS),
    )
