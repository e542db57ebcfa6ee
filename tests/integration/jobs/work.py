"""Runs of jobs without a ledger, and documents for them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from nova_stream.events.documents import snake_case
from nova_stream.events.times import time_text
from nova_stream.jobs.engine.job import JobContext, RunOnce
from nova_stream.jobs.registry import JOBS
from nova_stream.settings import Settings
from nova_stream.storage.database import INDEXES_ONLY, Connection, connect

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

#: The worker's own schedule must not come between.
NEVER = {f"schedule_{snake_case(job.name)}": "0 0 29 2 *" for job in JOBS}

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]


class FenceError(Exception):
    """The lease is lost."""


class Runs:
    """Runs jobs; each run has the next number. ``fences`` counts, ``fail_at`` makes one raise."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.publisher: Any = None
        self.fences = 0
        self.fail_at: int | None = None
        self._run_id = 0

    def context(
        self, now: datetime = NOON, *, dry_run: bool = False, **settings: Any
    ) -> JobContext:
        if not dry_run:
            self._run_id += 1

        async def open_session() -> Connection:
            return await connect(self.settings, "job", timeout=3)

        async def publisher() -> Any:
            assert self.publisher is not None, "this job should publish nothing"
            return self.publisher

        async def fence() -> None:
            assert not dry_run
            self.fences += 1
            if self.fences == self.fail_at:
                raise FenceError

        return JobContext(
            settings=self.settings.model_copy(update=settings),
            now=now,
            dry_run=dry_run,
            run_id=None if dry_run else self._run_id,
            connect=open_session,
            publisher=publisher,
            fence=fence,
        )

    async def run(self, job: RunOnce, now: datetime = NOON, **more: Any) -> dict[str, Any]:
        """The result as the ledger and the command line have it."""
        result = await job(self.context(now, **more))
        decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))
        return decoded

    @property
    def last(self) -> int:
        """The number of the last run."""
        return self._run_id

    async def fetch(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        connection = await connect(self.settings, "test")
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def ids(self, table: str, condition: str = "deleted_at IS NULL") -> list[str]:
        return sorted(
            r["id"] for r in await self.fetch(f"SELECT id FROM {table} WHERE {condition}")
        )

    async def execute(self, statement: str) -> None:
        connection = await connect(self.settings, "test")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def id_set(ids: Iterable[str]) -> dict[str, Any]:
    """Ids as the reference data tells them."""
    found = sorted(ids)
    told = "".join(f"{id_}\n" for id_ in found)
    return {"count": len(found), "sha256": hashlib.sha256(told.encode()).hexdigest()}


def before(instant: datetime, **ago: float) -> str:
    """The time ``ago`` before an instant, as a document has it."""
    return time_text(instant - timedelta(**ago))


async def scanned(runs: Runs, statement: str, *arguments: Any) -> set[str]:
    """The tables that a statement reads as a whole, planned as the job's session plans it."""
    connection = await connect(runs.settings, "test")
    try:
        await connection.execute(INDEXES_ONLY)
        plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *arguments)
    finally:
        await connection.close()
    found: set[str] = set()
    nodes = [msgspec.json.decode(plan)[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            found.add(node["Relation Name"])
    return found
