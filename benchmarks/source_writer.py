"""``python -m benchmarks.source_writer URL ROWS RATE``: changes tasks in a source's database and
publishes the rows as a connector would, until it is ended.
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

import asyncpg

from nova_stream.clock import to_millis
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings, load_settings

#: Seconds from one round of changes to the next.
_ROUND = 0.2
_STATUSES = ("pending", "running", "done", "failed")
_CHANGE = """
UPDATE tasks SET status = $2, attempts = attempts + 1
WHERE id = ANY($1::text[])
RETURNING id, build_id, task_id, title, agent, status, dependencies::text, phase, attempts,
    created_at, output, error
"""


async def run(settings: Settings, url: str, rows: int, rate: int) -> None:
    """Change ``rate`` of the ``rows`` tasks a second."""
    dice = random.Random(7)
    connection = await asyncpg.connect(url)
    async with ChangePublisher(settings) as publisher:
        while True:
            ids = [f"task-{dice.randint(1, rows)}" for _ in range(int(rate * _ROUND))]
            changed = await connection.fetch(_CHANGE, ids, dice.choice(_STATUSES))
            await publisher.publish([{"entity": "tasks", "after": _document(r)} for r in changed])
            await asyncio.sleep(_ROUND)


def _document(row: asyncpg.Record) -> dict[str, Any]:
    return {**row, "created_at": to_millis(row["created_at"])}


if __name__ == "__main__":
    asyncio.run(run(load_settings(), sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
