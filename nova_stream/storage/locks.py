"""Every advisory lock in Postgres, and the order in which several are taken.

Rows come first, in the order of ids, then agents' names, then the builds. The locks of one number
and those of two do not meet in Postgres.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable

#: First number of the locks that have two.
SPACE = 7303
#: One lock a hash of an agent's name, in numeric order: a row that is not there yet cannot be
#: locked, and a lock a name would exhaust the server's lock table. Second numbers 0 to 255.
NAMES = 256
ALL_NAMES = range(NAMES)
#: The builds' figures.
BUILDS = 256
#: One compaction of executions at a time.
COMPACTION = 300

#: First number of the locks that living workers hold, each of a number of its own.
WORKERS = 7304

#: One look for alerts at a time.
ALERTS = 7_303_015
#: One summary of engagement at a time.
ENGAGEMENT = 7_303_016
#: Migrations, from several machines at once.
MIGRATION = 7_303_014


def names(agents: Iterable[str]) -> list[int]:
    """The second numbers of some agents' names, in the order in which they are locked."""
    return sorted({zlib.crc32(agent.encode()) % NAMES for agent in agents})


def entity(name: str) -> int:
    """The lock of one entity that a mutation changes, by its name; of 2**63 numbers one."""
    digest = hashlib.sha256(f"nova-stream:{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
