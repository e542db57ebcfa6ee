"""From the source's database to nova-stream's rows: a connector, topics, a worker, a judge."""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from nova_stream.clock import system_clock
from nova_stream.local.sql import run_sql
from nova_stream.source_audit.audit import SourceAudit
from nova_stream.source_audit.compare import SourceReport
from nova_stream.source_audit.sources import open_source
from nova_stream.storage.database import connect
from nova_stream.testing.servers import fresh_database
from tests.integration.stream.harness import Stage, open_stage, until
from tests.sources.connect import LIMIT, Connect
from tests.sources.expected import differences, figures_differences, our_rows, source_rows
from tests.sources.postgres_source import SIGNALS, TABLES

#: Seconds after which a connector that has confirmed nothing is given one more transaction.
_MARK_AGAIN_S = 10.0

#: The configuration that docs/debezium.md recommends.
RECOMMENDED = Path(__file__).parents[2] / "deploy" / "debezium" / "postgres.json"


def slot_of(prefix: str) -> str:
    """The name of a pipeline's replication slot and of its publication."""
    return "s_" + prefix.replace("-", "_")


def connector_config(source: str, prefix: str, **changed: str) -> dict[str, str]:
    """The recommended configuration for this source and this prefix of topics.

    ``changed`` are settings with ``__`` for a dot.
    """
    address = urlsplit(source)
    slot = slot_of(prefix)
    config: dict[str, str] = json.loads(RECOMMENDED.read_text(encoding="utf-8"))
    return {
        **config,
        "database.hostname": str(address.hostname),
        "database.port": str(address.port),
        "database.user": str(address.username),
        "database.password": str(address.password),
        "database.dbname": address.path[1:],
        "slot.name": slot,
        "publication.name": slot,
        "topic.prefix": prefix,
        "transforms.route.regex": rf"{prefix}\.public\.(.*)",
        "transforms.route.replacement": f"{prefix}.$1",
        # So that tests need not wait for the defaults.
        "poll.interval.ms": "50",
        "retriable.restart.connector.wait.ms": "500",
        "signal.poll.interval.ms": "200",
        **{name.replace("__", "."): value for name, value in changed.items()},
    }


class Pipeline:
    """One connector's way to one database of nova-stream's."""

    def __init__(self, source: str, connect: Connect, stage: Stage) -> None:
        self.source = source
        self.connect = connect
        self.stage = stage
        self.name = stage.settings.topic_prefix
        self._told: list[str] = []

    def start_connector(self, **changed: str) -> None:
        self.connect.put(self.name, connector_config(self.source, self.name, **changed))

    async def run(self, *statements: str) -> None:
        """Statements in the source, in one transaction."""
        connection = await asyncpg.connect(self.source)
        try:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
        finally:
            await connection.close()

    async def snapshot_again(self, *tables: str, limit: float = LIMIT) -> None:
        """Have the connector read tables anew (an incremental snapshot), and wait for its end."""
        identity = uuid.uuid4().hex
        begin = self.connect.log.stat().st_size
        data = {"type": "incremental", "data-collections": [f"public.{name}" for name in tables]}
        await self.run(
            f"INSERT INTO {SIGNALS} VALUES ('{identity}', 'execute-snapshot', '{json.dumps(data)}')"
        )

        async def finished() -> bool:
            self.connect.check()
            said = self.connect.log.read_bytes()[begin:].decode(errors="replace")
            ended = re.findall(r"incremental snapshotting of table '[^']*?(\w+)' finished", said)
            return set(tables) <= set(ended)

        await until("the incremental snapshot is finished", finished, limit)

    def start_worker(self, **settings: str) -> None:
        """A worker whose jobs leave the rows alone: they are older than today, and builds that run
        in them would be stalled at the job's next slot.
        """
        late = dict.fromkeys(("activity_days", "execution_days"), "30000")
        never = {"schedule_check_stalled_builds": "0 0 29 2 *"}
        self.stage.start_worker(**late, **never, **settings)

    def kill_worker(self) -> None:
        """kill -9 for the worker, and a new one in its place."""
        killed = self.stage.worker
        killed.process.kill()
        killed.process.wait()
        self.start_worker()
        self.stage.workers.remove(killed)

    async def agree(self, limit: float = LIMIT) -> None:
        """Wait until all that the source has been told is applied; then rows and caches must say
        what the source says, with no dead letter, and the product's own comparison must say so.
        """
        await self.arrived(limit)
        found = await self.compare()
        assert not found, report(found)
        audited = await self.audit()
        assert audited.good, audited
        assert (audited.unsettled, audited.own, audited.not_compared) == (0, 0, [])

    async def agree_or_tell(self, *untold: str, limit: float = LIMIT) -> None:
        """As ``agree``, for settings that make values ambiguous: a row may differ when there is a
        dead letter for its entity that says which setting helps, and as ``untold`` (expressions
        for lines of ``compare``) names it.
        """
        await self.arrived(limit)
        found = await self.compare()
        told = {line.split()[2].rpartition(".")[2].rstrip(":") for line in found if _helps(line)}
        left = [
            line
            for line in found
            if not (_helps(line) or any(re.search(expression, line) for expression in untold))
            and not (line.endswith(": missing") and line.split()[0] in told)
            and not line.startswith("figure ")
        ]
        assert told, "this is for settings that are ambiguous"
        assert not left, report(left)

    async def arrived(self, limit: float = LIMIT) -> None:
        """Wait until nova-stream has passed all that the source had when this was called."""
        # The slot is confirmed up to the last transaction that Kafka has, which is the second. Both
        # may be in Kafka before the connector begins to confirm: then it waits for one more.
        for details in ("the last change", "one more"):
            reached = run_sql(self.source, "SELECT pg_current_wal_lsn()::text")[0][0]
            await self._mark(details)
        slot = slot_of(self.name)
        next_mark = time.monotonic() + _MARK_AGAIN_S

        async def published() -> bool:
            nonlocal next_mark
            self.connect.check()
            for worker in self.stage.workers:
                worker.must_run()
            if time.monotonic() > next_mark:
                await self._mark("one more")
                next_mark = time.monotonic() + _MARK_AGAIN_S
            return run_sql(
                self.source,
                "SELECT 1 FROM pg_replication_slots "
                f"WHERE slot_name = '{slot}' AND confirmed_flush_lsn >= '{reached}'",
            ) == [(1,)]

        try:
            await until("Debezium has published the source's last change", published, limit)
            await self.stage.caught_up()
        except AssertionError as error:
            said = self.stage.worker.log[-2000:]
            raise AssertionError(f"{error}\n{self.connect.tail()}\n{said}") from error

    async def _mark(self, details: str) -> None:
        await self.run(
            "INSERT INTO activities (id, details, timestamp) "
            f"VALUES ('marker-{uuid.uuid4().hex}', '{details}', '2026-02-20')"
        )

    async def compare(self, settle: float = 5.0) -> list[str]:
        """How rows, caches and dead letters differ from the source, which must stand still.

        What Kafka has taken in another partition may come a moment later: looked at again until
        nothing differs or ``settle`` seconds are over.
        """
        with contextlib.suppress(AssertionError):
            await until("nothing differs", self._is_equal, settle)
        return await self._differences()

    async def _is_equal(self) -> bool:
        return not await self._differences()

    async def _differences(self) -> list[str]:
        source = await asyncpg.connect(self.source)
        ours = await connect(self.stage.settings, "judge")
        try:
            expected = {table: await source_rows(source, table) for table in TABLES}
            lines = [
                line
                for table in TABLES
                for line in differences(table, expected[table], await our_rows(ours, table))
            ]
            lines += await figures_differences(ours, expected)
            letters = await ours.fetch("SELECT topic, message FROM dead_letters")
            lines += [f"dead letter {letter['topic']}: {letter['message']}" for letter in letters]
        finally:
            await source.close()
            await ours.close()
        return lines

    async def audit(self, *, repair: bool = False) -> SourceReport:
        """``nova-stream audit --source``."""
        async with open_source(self.source, {}, self.stage.settings) as source:
            audit = SourceAudit(
                self.stage.settings,
                source,
                settle=5.0,
                clock=system_clock,
                monotonic=time.monotonic,
                tell=self._told.append,
            )
            return await audit.run(repair=repair)

    def drop_slot(self) -> bool:
        """Drop the connector's slot, so that the source keeps nothing for it; False while used."""
        slot = f"FROM pg_replication_slots WHERE slot_name = '{slot_of(self.name)}'"
        run_sql(self.source, f"SELECT pg_drop_replication_slot(slot_name) {slot} AND NOT active")
        return run_sql(self.source, f"SELECT count(*) {slot}") == [(0,)]

    async def documents(self, table: str) -> dict[str, dict[str, Any]]:
        """nova-stream's documents of a table by id."""
        rows = await self.stage.fetch(f"SELECT id, doc FROM {table} WHERE doc IS NOT NULL")
        return {row["id"]: json.loads(row["doc"]) for row in rows}


def _helps(line: str) -> bool:
    return line.startswith("dead letter") and bool(re.search(r"\w+[.]\w+[.](mode|enable)=", line))


def report(found: list[str]) -> str:
    """Differences by kind: how many there are of each, with the first."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for line in found:
        kinds[re.sub(r"[0-9a-f-]{5,}|'.*?'", "…", line)].append(line)
    return "\n".join(
        [f"{len(found)} differences", *(f"{len(same)} x {same[0]}" for same in kinds.values())]
    )


@contextmanager
def open_pipeline(
    source: str, connect: Connect, brokers: str, postgres: str, folder: Path
) -> Iterator[Pipeline]:
    """Topics of two partitions and a migrated database; neither connector nor worker yet.

    At its end the connector is gone and the caches must equal the recount.
    """
    prefix = f"src-{uuid.uuid4().hex[:10]}"
    with (
        fresh_database(postgres) as database,
        open_stage(brokers, database, prefix, folder) as stage,
    ):
        pipeline = Pipeline(source, connect, stage)
        try:
            yield pipeline
        finally:
            connect.forget(prefix)
            connect.wait("the replication slot is free", pipeline.drop_slot)
