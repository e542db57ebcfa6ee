"""The project's hand-written loop: nova-stream's tables and indexes, no statistics."""

from __future__ import annotations

import sys

from benchmarks.peers.peer import Peer, Start, rows_of

PEER = Peer(
    name="hand-written",
    made_of="aiokafka, msgspec, asyncpg as pinned for nova-stream",
    claims="rows exact, also after a kill: offsets in the transaction; keeps no statistics",
    prepare=lambda: Start((sys.executable, "-m", "benchmarks.contenders.handwritten")),
    tables="",
    rows=rows_of("public.", version="version"),
)
