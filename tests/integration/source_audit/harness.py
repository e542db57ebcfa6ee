"""A source database, and a connector that writes its changes as Debezium does.

Triggers note each change with its place in the log in an outbox; the connector takes these to
Kafka, some time later, each with its lsn.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import asyncpg

from nova_stream.clock import system_clock
from nova_stream.events.change import Entity
from nova_stream.kafka.records import partition_of
from nova_stream.source_audit.audit import SourceAudit
from nova_stream.source_audit.compare import SourceReport
from nova_stream.source_audit.sources import open_source
from tests.integration.stream.harness import Stage

TABLES = """
CREATE TABLE outbox (
    place bigserial PRIMARY KEY, entity text, op text, lsn bigint, old jsonb, new jsonb
);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (entity, op, lsn, old, new)
    VALUES (TG_ARGV[0], lower(left(TG_OP, 1)), pg_current_wal_insert_lsn() - '0/0',
        to_jsonb(old), to_jsonb(new));
    RETURN NULL;
END $$;
CREATE TABLE agents (id text PRIMARY KEY, name text NOT NULL, role text, created_at timestamptz);
CREATE TABLE builds (
    id text PRIMARY KEY, prd_name text, status text NOT NULL, started_at timestamptz,
    completed_at timestamptz, error text
);
CREATE TABLE tasks (
    id text PRIMARY KEY, build_id text, title text, agent text, status text NOT NULL,
    dependencies text[], phase int, attempts int, created_at timestamptz, output text, extra text
);
CREATE TABLE executions (
    id text PRIMARY KEY, task_id text, agent text, prompt text, response text, gates_passed bool,
    duration numeric, "timestamp" timestamptz
);
CREATE TABLE activities (
    id text PRIMARY KEY, user_id text, event_type text, details text, "timestamp" timestamptz
);
CREATE TABLE users (
    id text PRIMARY KEY, user_id text, email text, tier text, created_at timestamptz,
    last_active_at timestamptz
);
"""
_OPS = {"i": "c", "u": "u", "d": "d"}


def watched(table: str, entity: Entity) -> str:
    """The statement that has a table's changes noted."""
    return (
        f"CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION note('{entity.value}')"
    )


class Source:
    """The database at ``url``, and the connector from it to the stage's topics."""

    def __init__(self, url: str, stage: Stage) -> None:
        self.url = url
        self.stage = stage
        self.delay = 0.0
        self.version: str | None = "lsn"  # the kind of versions; None: the offset
        self.lost: set[str] = set()  # ids whose changes the connector loses
        self._producer = stage.producer()
        self._connector: asyncio.Task[None] | None = None
        self._pool: asyncpg.Pool[Any] | None = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(self.url, min_size=1, max_size=6)
        await self.sql(TABLES)
        for entity in Entity:
            await self.sql(watched(entity.value, entity))
        self._connector = asyncio.create_task(self._connect())

    async def close(self) -> None:
        assert self._pool is not None
        if self._connector is not None:
            self._connector.cancel()
            await asyncio.wait({self._connector})
        await self._pool.close()

    async def sql(self, statement: str, *arguments: Any) -> None:
        assert self._pool is not None
        await self._pool.execute(statement, *arguments)

    async def emptied(self) -> None:
        """Wait until the connector has taken everything."""
        assert self._pool is not None
        end = time.monotonic() + 30
        while await self._pool.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            assert time.monotonic() < end, "the connector does not come to an end"
            await asyncio.sleep(0.02)

    async def audit(
        self,
        *entities: Entity,
        repair: bool = False,
        settle: float = 3.0,
        tables: dict[Entity, str] | None = None,
        url: str | None = None,
        told: list[str] | None = None,
    ) -> SourceReport:
        lines: list[str] = [] if told is None else told
        settings = self.stage.settings
        async with open_source(url or self.url, tables or {}, settings) as source:
            return await SourceAudit(
                settings,
                source,
                settle=settle,
                clock=system_clock,
                monotonic=time.monotonic,
                tell=lines.append,
            ).run(entities, repair=repair)

    async def _connect(self) -> None:
        assert self._pool is not None
        while True:
            rows = await self._pool.fetch("SELECT * FROM outbox ORDER BY lsn, place LIMIT 200")
            if self.delay:
                await asyncio.sleep(random.random() * self.delay)
            for row in rows:
                self._publish(row)
            assert await asyncio.to_thread(self._producer.flush, 30) == 0
            if rows:
                await self.sql(
                    "DELETE FROM outbox WHERE place = ANY($1)", [r["place"] for r in rows]
                )
            else:
                await asyncio.sleep(0.02)

    def _publish(self, row: asyncpg.Record) -> None:
        # A trigger's OLD and NEW are rows of nulls where there is none.
        new = None if row["op"] == "d" else json.loads(row["new"])
        old = None if row["op"] == "i" else json.loads(row["old"])
        id_ = str((new or old or {})["id"])
        if id_ in self.lost:
            return
        record: dict[str, Any] = {
            "op": _OPS[row["op"]],
            "ts_ms": 1771588800000,
            "before": old,
            "after": new,
            "source": {"connector": "postgresql", "ts_ms": 1771588800000},
        }
        if self.version is not None:
            record["source"][self.version] = row["lsn"]
        self.publish(Entity(row["entity"]), record, id_)

    def publish(self, entity: Entity, record: dict[str, Any], id_: str) -> None:
        """Hand a record to Kafka; ``_connect`` waits until it has it."""
        topic = self.stage.settings.topic(entity)
        partition = partition_of(id_.encode(), self.stage.settings.partitions)
        self._producer.produce(topic, json.dumps(record).encode(), id_.encode(), partition)


def ids(report: SourceReport, kind: str) -> list[str]:
    return [item.id for item in report.differences if item.kind == kind]


def counts(report: SourceReport) -> tuple[int, int, int]:
    return (report.missing, report.surplus, report.different)
