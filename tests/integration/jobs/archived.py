"""Executions for the archive, and what became of them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.integration.jobs.work import NOON, Runs, before

#: Executions before the cutoff of NOON, a {step} apart.
FILL = """
INSERT INTO executions (id, agent, duration, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT 'e' || n, 'NOBODY', n, timestamptz '2026-01-21 12:00Z' - n * interval '{step}', n, 0, now(),
    0, n, jsonb_build_object('id', 'e' || n, 'prompt', 'Do ' || n, 'big', 1e30 + n)
FROM generate_series({first}, {last}) n
"""


def execution(id_: str, seq: int = 1, **ago: float) -> dict[str, Any]:
    after = {
        "id": id_,
        "taskId": "unknown",
        "agent": "MARS",
        "duration": 12.25,
        "prompt": "Do it",
        "response": "Done \u2713",
        "timestamp": before(NOON, **ago),
        "exact": Decimal("1.10"),
    }
    return {"entity": "executions", "seq": seq, "after": after}


def objects(folder: Path, kind: str = "parquet") -> list[Path]:
    return sorted(folder.rglob(f"*.{kind}"))


async def docs(runs: Runs) -> dict[str, str | None]:
    rows = await runs.fetch("SELECT id, doc::text FROM executions ORDER BY id")
    return {row["id"]: row["doc"] for row in rows}


async def aged(runs: Runs, days: int, more: str = "") -> None:
    """Have the objects been in the archive for so long."""
    age = f"interval '{days} days {more}'"
    await runs.execute(f"UPDATE archive_objects SET created_at = now() - {age}")
