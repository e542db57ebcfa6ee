"""The judge: counts anew with its own SQL and its own Python, and shares no code with the product.

Its rules are those of docs/reading.md, written a second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

#: What asyncpg raises while Postgres is away.
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

#: What is counted of a scenario.
COUNTS = ("lost", "doubled", "unseen", "wrong", "tracebacks", "hands")

AGENTS = """
WITH t AS (
    SELECT doc->>'agent' AS agent, count(*) AS total,
        count(*) FILTER (WHERE doc->>'status' = 'done') AS done,
        count(*) FILTER (WHERE doc->>'status' = 'failed') AS failed,
        count(*) FILTER (WHERE doc->>'status' = 'running') AS runs
    FROM tasks WHERE deleted_at IS NULL GROUP BY 1
), e AS (
    SELECT agent, count(duration) AS n, sum(duration) AS spent, max(timestamp) AS last
    FROM executions WHERE deleted_at IS NULL GROUP BY 1
)
SELECT a.id, a.doc->>'name' AS name, coalesce(total, 0) AS total, coalesce(done, 0) AS done,
    coalesce(failed, 0) AS failed, coalesce(n, 0) AS n, coalesce(spent, 0) AS spent,
    coalesce(last, a.created_at) AS last, coalesce(runs, 0) AS runs
FROM agents a LEFT JOIN t ON t.agent = a.doc->>'name' LEFT JOIN e ON e.agent = a.doc->>'name'
WHERE a.deleted_at IS NULL
"""
BUILDS = """
SELECT count(*) AS total, count(*) FILTER (WHERE status = 'completed') AS done,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'running') AS runs,
    count(*) FILTER (WHERE status = 'completed' AND completed_at IS NOT NULL
        AND started_at IS NOT NULL) AS n,
    coalesce(sum(extract(epoch FROM completed_at - started_at) * 1000)
        FILTER (WHERE status = 'completed'), 0) AS spent,
    max(completed_at) AS last
FROM builds WHERE deleted_at IS NULL
"""


def half_up(value: float) -> float:
    return math.floor(value + 0.5)


def rate(part: int, whole: int) -> float:
    return half_up(part / whole * 100 * 100) / 100 if whole else 0.0


def mean(total: Any, count: int) -> float:
    return half_up(float(total) / count) if count else 0.0


#: What the cache has only since schema 0024, and so not yet before an upgrade.
_LATER = {"running_tasks", "executions", "duration_sum"}


def agent_figures(row: Any) -> dict[str, Any]:
    """A row of the cache as it must be."""
    return {
        "agent_name": row["name"],
        "total_tasks": row["total"],
        "completed_tasks": row["done"],
        "failed_tasks": row["failed"],
        "success_rate": rate(row["done"], row["total"]),
        "avg_duration": mean(row["spent"], row["n"]),
        "last_active": row["last"],
        "current_status": "active" if row["runs"] else "idle",
        "running_tasks": row["runs"],
        "executions": row["n"],
        "duration_sum": row["spent"],
    }


def build_figures(row: Any) -> dict[str, Any]:
    return {
        "total_builds": row["total"],
        "completed_builds": row["done"],
        "failed_builds": row["failed"],
        "running_builds": row["runs"],
        "success_rate": rate(row["done"], row["total"]),
        "avg_duration_ms": mean(row["spent"], row["n"]),
        "last_build_time": row["last"],
    }


async def differences(connection: asyncpg.Connection[Any]) -> list[str]:
    """Where the caches are not what the rows give, in one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        agents = await connection.fetch(AGENTS)
        agent_cache = await connection.fetch("SELECT * FROM agent_stats_cache")
        builds = await connection.fetchrow(BUILDS)
        build_cache = await connection.fetchrow("SELECT * FROM build_stats_cache")
    wanted = {row["id"]: agent_figures(row) for row in agents}
    found = {row["agent_id"]: row for row in agent_cache}
    told = [f"agent {id_}: only in one" for id_ in wanted.keys() ^ found.keys()]
    for id_ in wanted.keys() & found.keys():
        told += _unlike(f"agent {id_}", wanted[id_], found[id_])
    if build_cache is not None:
        told += _unlike("builds", build_figures(builds), build_cache)
    elif builds is not None and builds["total"]:
        told.append("builds: no row")
    return told


def _unlike(what: str, wanted: dict[str, Any], found: Any) -> list[str]:
    return [
        f"{what}: {name} is {found[name]}, not {value}"
        for name, value in wanted.items()
        if (name not in _LATER or name in found.keys()) and found[name] != value  # noqa: SIM118
    ]


class Snapshots:
    """Looks at one snapshot after the other, also while Postgres comes and goes."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self.seen = 0
        self.wrong: list[str] = []

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(*AWAY):
                connection = await asyncpg.connect(self._url(), timeout=5, command_timeout=5)
                try:
                    while True:
                        told = await differences(connection)
                        self.seen += 1
                        if told:
                            self.wrong.append("; ".join(told[:3]))
                        await asyncio.sleep(0.2)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.2)

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            early = task.done()
            task.cancel()
            result = await asyncio.gather(task, return_exceptions=True)
            if early:
                raise AssertionError("the judge ended early") from result[0]


def standing(sent: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The cache's rows by agent, counted from the documents that stand."""
    tasks, executions = _by(sent["tasks"], "agent"), _by(sent["executions"], "agent")
    rows = {}
    for agent in sent["agents"]:
        own, runs = tasks[agent["name"]], executions[agent["name"]]
        status = Counter(task["status"] for task in own)
        rows[agent["id"]] = agent_figures(
            {
                "name": agent["name"],
                "total": len(own),
                "done": status["done"],
                "failed": status["failed"],
                "runs": status["running"],
                "n": len(runs),
                "spent": sum(exact(run["duration"]) for run in runs),
                "last": max((instant(r["timestamp"]) for r in runs), default=None)
                or instant(agent["createdAt"]),
            }
        )
    return rows


def standing_builds(sent: dict[str, Any]) -> dict[str, Any]:
    """The builds' row, counted from the documents that stand."""
    status = Counter(build["status"] for build in sent["builds"])
    ended = [b for b in sent["builds"] if "completedAt" in b]
    timed = [b for b in ended if b["status"] == "completed"]
    spent = sum(
        (instant(b["completedAt"]) - instant(b["startedAt"])) / timedelta(milliseconds=1)
        for b in timed
    )
    return build_figures(
        {
            "total": len(sent["builds"]),
            "done": status["completed"],
            "failed": status["failed"],
            "runs": status["running"],
            "n": len(timed),
            "spent": spent,
            "last": max((instant(b["completedAt"]) for b in ended), default=None),
        }
    )


def in_range(
    sent: dict[str, Any], name: str | None, begin: datetime, end: datetime
) -> dict[str, Any]:
    """What an agent did from ``begin`` to before ``end``; None: all of them together."""
    runs = [
        exact(e["duration"])
        for e in sent["executions"]
        if name in (e["agent"], None) and begin <= instant(e["timestamp"]) < end
    ]
    done: Counter[str] = Counter()
    for task in sent["tasks"]:
        at = sent["finished"].get(task["id"])
        if name in (task["agent"], None) and at is not None and begin <= _of_millis(at) < end:
            done[task["status"]] += 1
    return {
        "completedTasks": done["done"],
        "failedTasks": done["failed"],
        "executions": len(runs),
        "avgDuration": mean(sum(runs), len(runs)) if runs else None,
    }


def builds_in_range(sent: dict[str, Any], begin: datetime, end: datetime) -> dict[str, int]:
    """The builds that ended from ``begin`` to before ``end``."""
    ended = Counter(
        build["status"]
        for build in sent["builds"]
        if "completedAt" in build and begin <= instant(build["completedAt"]) < end
    )
    return {"completedBuilds": ended["completed"], "failedBuilds": ended["failed"]}


def exact(duration: float) -> Decimal:
    return Decimal(repr(duration))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _of_millis(millis: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)


def _by(documents: Iterable[dict[str, Any]], field: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for document in documents:
        found[document[field]].append(document)
    return found


class Finding(dict[str, list[str]]):
    """What is wrong at the end, by the count that it adds to."""

    def add(self, count: str, *told: str) -> None:
        self.setdefault(count, []).extend(told)


async def at_the_end(connection: asyncpg.Connection[Any], sent: dict[str, Any]) -> Finding:
    """What of the rows, caches and dead letters is not as it was sent."""
    found = Finding()
    for entity in ("agents", "builds", "tasks", "executions"):
        await _compare_rows(connection, entity, sent[entity], found)
    await _compare_activities(connection, sent["activities"], found)
    cache = {r["agent_id"]: r for r in await connection.fetch("SELECT * FROM agent_stats_cache")}
    for id_, wanted in standing(sent).items():
        if id_ in cache:
            found.add("wrong", *_unlike(f"agent {id_}", wanted, cache[id_]))
        else:
            found.add("wrong", f"agent {id_} has no row")
    row = await connection.fetchrow("SELECT * FROM build_stats_cache")
    found.add("wrong", *_unlike("builds", standing_builds(sent), row or defaultdict(str)))
    letters = Counter(
        bytes(row["key"]).decode() for row in await connection.fetch("SELECT key FROM dead_letters")
    )
    for key in sent["bad"]:
        if letters[key] != 1:
            found.add("doubled" if letters[key] else "lost", f"letter {key}: {letters[key]} times")
    found.add("wrong", *(f"letter {key} never was bad" for key in letters.keys() - {*sent["bad"]}))
    return found


async def _compare_rows(
    connection: asyncpg.Connection[Any], entity: str, documents: list[Any], found: Finding
) -> None:
    rows = await connection.fetch(
        f"SELECT id, doc FROM {entity} WHERE deleted_at IS NULL AND id NOT LIKE 'own-%'"
    )
    stored = {row["id"]: None if row["doc"] is None else json.loads(row["doc"]) for row in rows}
    wanted = {document["id"]: document for document in documents}
    for id_ in wanted.keys() - stored.keys():
        found.add("lost", f"{entity} {id_} is missing")
    for id_ in stored.keys() - wanted.keys():
        found.add("doubled", f"{entity} {id_} is deleted, and stands")
    for id_ in stored.keys() & wanted.keys():
        if stored[id_] is not None and stored[id_] != wanted[id_]:
            found.add("lost", f"{entity} {id_}: its newest change")


async def _compare_activities(
    connection: asyncpg.Connection[Any], documents: list[Any], found: Finding
) -> None:
    rows = await connection.fetch(
        "SELECT id FROM agent_activity_feed UNION SELECT id FROM activity_archive"
    )
    missing = {document["id"] for document in documents} - {row["id"] for row in rows}
    found.add("lost", *(f"activity {id_} is missing" for id_ in sorted(missing)))


async def of_the_ledger(
    connection: asyncpg.Connection[Any], began: datetime, asked: Iterable[int]
) -> Finding:
    """Slots and asked-for runs that have no end, or more than one; recounts that found a drift."""
    found = Finding()
    rows = await connection.fetch("SELECT * FROM job_runs")
    runs = {row["id"]: row for row in rows}
    for id_ in asked:
        if id_ not in runs:
            found.add("lost", f"run {id_} is not in the ledger")
    slots = Counter((row["job"], row["slot"]) for row in rows if row["slot"] is not None)
    found.add("doubled", *(f"slot {slot}: {n} lines" for slot, n in slots.items() if n > 1))
    for row in rows:
        if row["outcome"] is None:
            found.add("lost", f"run {row['id']} of {row['job']} has no end")
        if row["result"] is not None and json.loads(row["result"]).get("drift", 0):
            found.add("wrong", f"run {row['id']}: {row['result']}")
    now = datetime.now(UTC)
    first = began.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for job in {job for job, _ in slots}:
        slot = first
        while slot + timedelta(seconds=45) < now:
            if (job, slot) not in slots:
                found.add("lost", f"slot {slot} of {job} has no line")
            slot += timedelta(minutes=1)
    return found
