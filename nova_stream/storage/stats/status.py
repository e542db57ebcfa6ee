"""The stream's state as the database knows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from nova_stream.events.change import Entity
from nova_stream.events.times import time_text
from nova_stream.events.versions import GENERATION_BITS
from nova_stream.kafka.model import AppliedPosition, KafkaState, Key
from nova_stream.settings import Settings
from nova_stream.storage.apply import positions, sql
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.dead_letters.sql import COUNT_OPEN
from nova_stream.storage.faults import PostgresState
from nova_stream.storage.jobs.ledger_sql import WENT_WELL
from nova_stream.storage.stats.outlook import Moment, Outlook
from nova_stream.storage.stats.rows import Time
from nova_stream.storage.stats.stream_history import recent_moments

#: $1 jobs: the newest run of each that went well. Only workers' roles can write a result.
_AUDITS = f"""
SELECT r.job, r.id, r.ended_at, r.result FROM unnest($1::text[]) AS j (job) CROSS JOIN LATERAL (
    SELECT job, id, ended_at, result FROM job_runs
    WHERE job = j.job AND outcome IN {WENT_WELL} AND result IS NOT NULL
    ORDER BY scheduled_at DESC LIMIT 1
) r
"""  # noqa: S608 - made from our own constants


def _last_of_partition(table: str, topic: str, condition: str) -> str:
    # Made from our own constants, never from input.
    return f"""
SELECT s.updated_at, extract(epoch FROM s.updated_at - x.changed_at) * 1000 AS age_ms
FROM (
    SELECT src_partition, src_offset, changed_at, xmin FROM {table}
    WHERE timestamp IS NOT NULL {condition} ORDER BY timestamp DESC, id DESC LIMIT 100
) x JOIN stream_positions s
    ON s.topic = {topic} AND s.partition = x.src_partition
        AND x.src_offset % (1::bigint << {GENERATION_BITS}) = s.records_end - 1
        AND (s.generation IN (0, x.src_offset >> {GENERATION_BITS}) OR x.xmin = s.xmin)"""  # noqa: S608


#: $1 the topic of executions, $2 of activities: how old the newest change was when it was
#: committed. A position's time is that of the last record below it, so only a row which that
#: record made can tell; no row when none of the newest is one. Of a topic that was made again a
#: row may be of an earlier record with that offset, unless it tells its generation or was written
#: by the transaction that moved the position.
_FRESHNESS = f"""
SELECT age_ms FROM (
{_last_of_partition("executions", "$1::text", "AND doc IS NOT NULL")}
UNION ALL
{_last_of_partition("agent_activity_feed", "$2::text", "")}
) n ORDER BY updated_at DESC LIMIT 1
"""  # noqa: S608 - our own text


#: Sessions of workers, whose names every role may see. Any session may call itself so: those
#: count whose role may move positions, as no other program's can.
_WORKER_SESSIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name IN ('nova-stream worker', 'nova-stream flush')
    AND has_table_privilege(usesysid, 'stream_positions', 'UPDATE')
"""


class AuditRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The last recount by a job: how many figures were not as counted."""

    at: Time
    drift: int
    run_id: int


class TopicLag(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What waits in one topic."""

    topic: str
    lag: Annotated[int, msgspec.Meta(description="Records that wait to be applied.")]
    partitions: int
    partitions_waiting: Annotated[
        int, msgspec.Meta(description="Those of its partitions in which records wait.")
    ]


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
        PostgresState,
        msgspec.Meta(
            description="silent: no answer; refusing: it accepts no connections; unresolved: the "
            "host's name is not known."
        ),
    ]
    kafka_up: bool
    kafka_state: Annotated[
        KafkaState,
        msgspec.Meta(
            description="silent: no answer; refusing: nothing listens there; unresolved: the "
            "brokers' names are not known."
        ),
    ]
    lag: Annotated[int | None, msgspec.Meta(description="Records that wait to be applied.")]
    topics: Annotated[
        list[TopicLag] | None,
        msgspec.Meta(description="The lag of each topic that Kafka has; they add up to `lag`."),
    ]
    held_back: Annotated[
        list[HeldBack] | None,
        msgspec.Meta(
            description="Records that open producer transactions hold back; they are not lag."
        ),
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
    workers: Annotated[
        int | None,
        msgspec.Meta(
            description="Members of the consumer group; 0 also when Postgres sees none any more."
        ),
    ]
    outlook: Annotated[
        Outlook | None, msgspec.Meta(description="Where the lag goes; null while Postgres is away.")
    ]


class StreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the database knows, as one state."""

    positions: dict[Key, AppliedPosition]
    applied_at: datetime | None
    freshness_ms: float | None
    open_dead_letters: int
    agents_audit: AuditRow | None
    builds_audit: AuditRow | None
    worker_sessions: int
    moments: list[Moment]


async def stream_facts(
    connection: Connection, settings: Settings, now: datetime, *, agents_job: str, builds_job: str
) -> StreamFacts:
    """Read it all; the two jobs are those that audit the figures. Raises what asyncpg
    raises, and needs a connection that is in no transaction.
    """
    topics = (settings.topic(Entity.EXECUTIONS), settings.topic(Entity.ACTIVITIES))
    async with snapshot(connection):
        rows = await connection.fetch(sql.STANDING)
        freshness = await connection.fetchval(_FRESHNESS, *topics)
        letters = await connection.fetchval(COUNT_OPEN)
        sessions = await connection.fetchval(_WORKER_SESSIONS)
        moments = await recent_moments(connection, now)
        audits = {
            row["job"]: AuditRow(
                at=time_text(row["ended_at"]),
                drift=msgspec.json.decode(row["result"]).get("drift", 0),
                run_id=row["id"],
            )
            for row in await connection.fetch(_AUDITS, [agents_job, builds_job])
        }
    return StreamFacts(
        positions=positions.by_partition(rows),
        applied_at=max((r["updated_at"] for r in rows if r["next_offset"]), default=None),
        # A producer's clock may be ahead of the database's.
        freshness_ms=None if freshness is None else round(max(0.0, float(freshness)), 1),
        open_dead_letters=letters,
        agents_audit=audits.get(agents_job),
        builds_audit=audits.get(builds_job),
        worker_sessions=sessions,
        moments=moments,
    )
