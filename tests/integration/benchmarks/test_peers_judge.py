"""The statement that looks at a snapshot of a peer finds what is wrong, and only that."""

from __future__ import annotations

import asyncpg
import pytest

from benchmarks.peers.figures import (
    count_rows,
    found_agents,
    found_builds,
    found_rows,
    statistics_differ,
    wrong_rows,
    wrong_statistics,
)
from benchmarks.peers.flink import PEER

pytestmark = pytest.mark.integration

_RIGHT = """
INSERT INTO flink_agents (id, seq, name) VALUES ('a1', 1, 'ATLAS'), ('a2', 2, 'ECHO');
INSERT INTO flink_builds (id, seq, status) VALUES ('b1', 3, 'completed'), ('b2', 4, 'running');
INSERT INTO flink_tasks (id, seq, agent, status)
    VALUES ('t1', 5, 'ATLAS', 'done'), ('t2', 6, 'ECHO', 'failed'), ('t3', 7, 'ECHO', 'ready');
INSERT INTO flink_executions (id, seq, agent, duration)
    VALUES ('e1', 8, 'ATLAS', 100), ('e2', 9, 'ATLAS', 201);
INSERT INTO flink_agent_stats VALUES ('ATLAS', 1, 1, 0, 2, 301), ('ECHO', 2, 0, 1, 0, 0);
INSERT INTO flink_build_stats VALUES (1, 2, 1, 0, 1)
"""


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE flink_agent_stats SET total = 2 WHERE agent = 'ATLAS'",
        "UPDATE flink_agent_stats SET completed = 0 WHERE agent = 'ATLAS'",
        "UPDATE flink_agent_stats SET duration_sum = 401 WHERE agent = 'ATLAS'",
        "UPDATE flink_tasks SET agent = 'ECHO' WHERE id = 't1'",
        "DELETE FROM flink_agent_stats WHERE agent = 'ECHO'",
        "DELETE FROM flink_executions WHERE id = 'e1'",
        "UPDATE flink_build_stats SET running = 0",
        "DELETE FROM flink_build_stats",
        "UPDATE flink_builds SET status = 'failed' WHERE id = 'b1'",
    ],
)
async def test_a_database_that_is_wrong_is_found(nova_database: str, fault: str) -> None:
    connection = await asyncpg.connect(nova_database)
    try:
        await connection.execute(f"{PEER.tables};{PEER.views()}{_RIGHT}")
        wanted = count_rows(await found_rows(connection))
        agents, builds = await found_agents(connection), await found_builds(connection)
        assert not await statistics_differ(connection)
        assert wrong_statistics(agents, builds, wanted) == []

        await connection.execute(fault)
        assert await statistics_differ(connection)
        agents, builds = await found_agents(connection), await found_builds(connection)
        rows = await found_rows(connection)
        assert wrong_rows(rows, wanted) + wrong_statistics(agents, builds, wanted)
    finally:
        await connection.close()
