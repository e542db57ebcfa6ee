"""The lean hand-written loop: as few columns as it can, no index but the primary keys."""

from __future__ import annotations

import sys

from benchmarks.contenders.lean import TABLES
from benchmarks.peers.peer import Peer, Start

PEER = Peer(
    name="lean",
    made_of="aiokafka, msgspec, asyncpg as pinned for nova-stream",
    claims="rows exact, also after a kill: offsets in the transaction; keeps no statistics",
    prepare=lambda: Start((sys.executable, "-m", "benchmarks.contenders.lean")),
    tables=";".join(TABLES),
    rows="""
SELECT 'agents', id, seq, doc::json ->> 'name', NULL::text, NULL::numeric FROM lean_agents
UNION ALL SELECT 'builds', id, seq, NULL, status, NULL FROM lean_builds
UNION ALL SELECT 'tasks', id, seq, agent, status, NULL FROM lean_tasks
UNION ALL SELECT 'executions', id, seq, agent, NULL, duration::numeric FROM lean_executions""",
)
