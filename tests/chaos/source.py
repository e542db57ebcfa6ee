"""The source's own database at the end, and what the product's comparison with it says."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from tests.chaos import judge
from tests.chaos.field import Field

_TABLES = """
DROP TABLE IF EXISTS builds, executions;
CREATE TABLE builds (id text PRIMARY KEY, status text, "startedAt" timestamptz,
    "completedAt" timestamptz, "prdName" text);
CREATE TABLE executions (id text PRIMARY KEY, agent text, duration numeric,
    "timestamp" timestamptz, prompt text)
"""


async def compare(field: Field, sent: dict[str, Any]) -> judge.Finding:
    """``audit --source`` finds a build and an execution that the source is made to have otherwise,
    and nothing else.
    """
    finding = judge.Finding()
    url = field.url.rpartition("/")[0] + "/source"
    await _fill(field.url, url, sent)
    words = ["--source", url, "--entity", "builds", "--entity", "executions", "--settle", "1"]
    status, output = await field.answer("audit", *words)
    told = json.loads(output.strip().rpartition("\n")[2] or "{}")
    wanted = {"missing": 1, "surplus": 0, "different": 1}
    if {name: told.get(name) for name in wanted} != wanted or status != 1:
        finding.add("wrong", f"audit --source ends with {status}: {output[-300:]}, not {wanted}")
    return finding


async def _fill(ours: str, url: str, sent: dict[str, Any]) -> None:
    connection = await asyncpg.connect(ours)
    try:
        if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname='source'"):
            await connection.execute("CREATE DATABASE source")
    finally:
        await connection.close()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_TABLES)
        builds = [
            (
                b["id"],
                b["status"],
                *(_time(b, f) for f in ("startedAt", "completedAt")),
                b["prdName"],
            )
            for b in sent["builds"]
        ]
        runs = [
            (e["id"], e["agent"], judge.exact(e["duration"]), _time(e, "timestamp"), e["prompt"])
            for e in sent["executions"]
        ]
        await connection.copy_records_to_table("builds", records=builds)
        await connection.copy_records_to_table("executions", records=runs)
        await connection.execute("UPDATE builds SET status = 'other' WHERE id = $1", builds[0][0])
        await connection.execute("INSERT INTO executions VALUES ('nobody', 'A', 1, now(), 'p')")
    finally:
        await connection.close()


def _time(document: dict[str, Any], name: str) -> Any:
    return judge.instant(document[name]) if name in document else None
