"""Databases of their own, each with the changes of some of the ids: sums over them are the whole.

It is what several installations side by side come to, whose figures are merged in one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from asyncpg import Record

from benchmarks.workload import history
from nova_stream.events.change import Entity, Version
from nova_stream.events.encode import encode_change, encode_key
from nova_stream.events.lines import ChangeLine
from nova_stream.formulas import mean_duration, success_rate
from nova_stream.kafka.records import partition_of
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import connect
from nova_stream.testing.servers import fresh_database
from tests.integration.storage.arena import snapshot_differences
from tests.integration.storage.conftest import Desk
from tests.recount import recount_history, revision_of_line

pytestmark = pytest.mark.integration

SHARDS = 3
EVENTS = 4000
AT_ONCE = 500

#: What a view over the shards' tables would add up.
PARTIALS = """
SELECT a.id, coalesce(sum(p.total_tasks), 0)::bigint AS total,
    coalesce(sum(p.completed_tasks), 0)::bigint AS completed,
    coalesce(sum(p.failed_tasks), 0)::bigint AS failed,
    coalesce(sum(p.executions), 0)::bigint AS executions,
    coalesce(sum(p.duration_sum), 0) AS duration_sum,
    (SELECT last_active FROM agent_stats_cache c WHERE c.agent_id = a.id) AS last_active
FROM agents a LEFT JOIN agent_stats_partials p ON p.agent = a.name GROUP BY a.id
"""
SUMMED = ("total", "completed", "failed", "executions", "duration_sum")


@pytest.fixture
def shards(
    nova_postgres: str, migrated_template: str, nova_topic_prefix: str
) -> Iterator[list[Settings]]:
    with ExitStack() as ended:
        yield [
            load_settings(
                database_url=ended.enter_context(
                    fresh_database(nova_postgres, template=migrated_template)
                ),
                topic_prefix=nova_topic_prefix,
            )
            for _ in range(SHARDS)
        ]


def _goes_to(line: ChangeLine, shard: int) -> bool:
    """All of them know the agents; of the others each id has its place."""
    return line.entity is Entity.AGENTS or partition_of(encode_key(line.id), SHARDS) == shard


async def _apply(desk: Desk, lines: list[ChangeLine]) -> None:
    for begin in range(0, len(lines), AT_ONCE):
        batch: dict[Entity, list[bytes]] = defaultdict(list)
        for line in lines[begin : begin + AT_ONCE]:
            assert line.seq is not None
            assert line.ts_ms is not None
            version = Version(line.seq, line.minor)
            value = encode_change(
                line.entity, line.op, line.document, version=version, ts_ms=line.ts_ms
            )
            batch[line.entity].append(value)
        for entity, values in batch.items():
            await desk.put(entity, *values)


async def test_the_shards_partials_add_up_to_the_figures_of_all(shards: list[Settings]) -> None:
    lines = list(history(EVENTS, moves=0.1))
    wanted = recount_history(revision_of_line(line) for line in lines)
    merged: dict[str, list[Record]] = defaultdict(list)
    builds = 0
    for number, settings in enumerate(shards):
        connection = await connect(settings, "shard", flush=True)
        try:
            own = [line for line in lines if _goes_to(line, number)]
            await _apply(Desk(settings, connection), own)
            assert await snapshot_differences(connection) == []
            for row in await connection.fetch(PARTIALS):
                merged[row["id"]].append(row)
            builds += await connection.fetchval("SELECT total_builds FROM build_stats_cache")
        finally:
            await connection.close()
    assert builds == wanted.builds.total_builds
    assert merged.keys() == wanted.agents.keys()
    for id_, rows in merged.items():
        figures = {name: sum(row[name] for row in rows) for name in SUMMED}
        want = wanted.agents[id_]
        assert figures["total"] == want.total_tasks
        assert figures["completed"] == want.completed_tasks
        assert figures["failed"] == want.failed_tasks
        assert success_rate(figures["completed"], figures["total"]) == want.success_rate
        assert mean_duration(figures["duration_sum"], figures["executions"]) == want.avg_duration
        assert max(row["last_active"] for row in rows) == want.last_active
