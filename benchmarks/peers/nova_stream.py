"""nova-stream itself, as ``nova-stream worker`` starts, everything on."""

from __future__ import annotations

from benchmarks.common import WORKER
from benchmarks.peers.peer import Peer, Start, rows_of

PEER = Peer(
    name="nova-stream",
    made_of="this checkout",
    claims="exact in every snapshot, also after a kill",
    prepare=lambda: Start(WORKER),
    tables="",
    rows=rows_of("public.", version="version", where="WHERE deleted_at IS NULL"),
    agents="""
SELECT agent_name, total_tasks, completed_tasks, failed_tasks, avg_duration
FROM agent_stats_cache""",
    builds="""
SELECT total_builds, completed_builds, failed_builds, running_builds FROM build_stats_cache""",
)
