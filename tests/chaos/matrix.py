"""One scenario from its servers to its verdict."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.chaos import judge, source
from tests.chaos.field import Field, sending, servers_in
from tests.chaos.readers import OWN, OwnWrites, Page, reading
from tests.chaos.scenarios import Scenario

RATE = 1500.0
#: What was looked at, and for how long.
FIGURES = ("events", "snapshots", "reads", "live", "runs", "settled", "seconds")
_PRODUCT = Path(__file__).parents[2]


async def run(
    scenario: Scenario,
    seed: int,
    *,
    product: Path = _PRODUCT,
    settles: float | None = None,
    keep: Path | None = None,
    audits: bool = True,
) -> dict[str, Any]:
    """The verdict: the counts, what they are made of, and how much was looked at.

    With ``audits`` the rows are compared with a source at the end. The logs of a scenario with a
    fault go to a folder below ``keep``.
    """
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder,
        servers_in(Path(folder), relayed=scenario.relayed, disk=scenario.disk) as servers,
    ):
        field = Field(servers, seed, product, RATE)
        try:
            try:
                verdict = await _play(scenario, field, settles or scenario.settles, audits=audits)
            except AssertionError as error:
                verdict = _not_played(field, error)
            if keep is not None and any(verdict[count] for count in judge.COUNTS):
                field.keep_logs(keep / f"{scenario.name.replace(' ', '-')}-{seed}")
        finally:
            field.end_all()
    verdict["seconds"] = round(time.monotonic() - began, 1)
    return {"scenario": scenario.name, "seed": seed} | verdict


def _not_played(field: Field, error: AssertionError) -> dict[str, Any]:
    """The verdict where the stream does not even begin, or nothing can be made of it."""
    told = {"hands": [f"it cannot be played: {error!r}"], "tracebacks": field.tracebacks()[:5]}
    counts = {count: len(told.get(count, [])) for count in judge.COUNTS}
    return counts | dict.fromkeys(FIGURES) | {"told": told}


def left_out(scenario: Scenario, seed: int, why: str) -> dict[str, Any]:
    """The verdict on what this machine lacks something for."""
    return {"scenario": scenario.name, "seed": seed, "left_out": why}


async def _play(
    scenario: Scenario, field: Field, settles: float, *, audits: bool
) -> dict[str, Any]:
    started = datetime.now(UTC)
    await scenario.begins(field)
    own, page = OwnWrites(field.address), Page(field.address)
    snapshots = judge.Snapshots(lambda: field.url)
    agent = {"id": "own-agent", "name": OWN, "createdAt": "2026-02-20T00:00:00.000Z"}
    async with httpx.AsyncClient(base_url=field.address, timeout=20) as client:
        told = await client.post("/api/v1/events", json={"entity": "agents", "after": agent})
        after = {"after": told.json()["token"], "timeout": 20}
        told = await client.get("/api/v1/overview", params=after)
        assert told.is_success, told.text
    async with snapshots.taken(), reading(own, page):
        async with sending(field) as file:
            await _until_applied(field, 2000)
            # Slots are expected from when the first worker has named its jobs.
            field.slots_from = datetime.now(UTC)
            await scenario.happens(field)
            calm = time.monotonic()
            await asyncio.sleep(1)
        sent = json.loads(file.read_text())
        await own.pause()
        finding, settled = await _settled(field, sent, own, page, started, settles, calm)
    if settled is not None and audits:
        for count, lines in (await source.compare(field, sent)).items():
            finding.add(count, *lines)
    return _verdict(field, finding, snapshots, own, page, sent, settled)


async def _until_applied(field: Field, count: int) -> None:
    """Wait until so many rows are there: the faults are to hit a stream that runs."""
    end = time.monotonic() + 60
    connection = await asyncpg.connect(field.url)
    try:
        while await connection.fetchval("SELECT count(*) FROM tasks") < count / 2:
            assert time.monotonic() < end, "the stream does not begin"
            await asyncio.sleep(0.2)
    finally:
        await connection.close()


async def _settled(
    field: Field,
    sent: dict[str, Any],
    own: OwnWrites,
    page: Page,
    started: datetime,
    limit: float,
    calm: float,
) -> tuple[judge.Finding, float | None]:
    """Look until nothing is wrong any more, ``limit`` seconds at most, and what is wrong then."""
    end = time.monotonic() + limit
    while True:
        finding = judge.Finding()
        try:
            for look in (*_LOOKS, *([_of_archive] if field.archive else [])):
                for count, told in (await look(field, sent, own, page, started)).items():
                    finding.add(count, *told)
            if not any(finding.values()):
                return finding, round(time.monotonic() - calm, 1)
        except (*judge.AWAY, httpx.HTTPError) as error:
            finding.add("hands", f"no answer: {error!r}")
        if time.monotonic() > end:
            return finding, None
        await asyncio.sleep(1)


async def _of_rows(field: Field, sent: Any, own: Any, page: Any, started: Any) -> judge.Finding:
    async with _connected(field) as connection:
        finding = await judge.at_the_end(connection, sent)
        rows = await connection.fetch("SELECT id FROM tasks WHERE id LIKE 'own-%'")
        missing = own.acknowledged - {row["id"] for row in rows}
        finding.add("lost", *(f"{id_} was acknowledged" for id_ in sorted(missing)))
        return finding


async def _of_jobs(field: Field, sent: Any, own: Any, page: Any, started: Any) -> judge.Finding:
    async with _connected(field) as connection:
        return await judge.of_the_ledger(connection, field.slots_from, own.asked)


async def _of_readers(field: Field, sent: Any, own: Any, page: Any, started: Any) -> judge.Finding:
    """What the API tells, over time and live, is what was sent."""
    finding = judge.Finding()
    async with httpx.AsyncClient(base_url=field.address, timeout=20) as client:
        begin = datetime(2026, 2, 20, 2, 15, tzinfo=UTC)
        now = datetime.now(UTC).replace(microsecond=0)
        for since, until in ((begin, begin.replace(minute=45)), (started, now)):
            await _of_a_range(client, sent, since, until, finding)
        answer = await client.get("/api/v1/agents/stats", params={"unregistered": "true"})
        rows = {row["agentId"] or f"name:{row['agentName']}": row for row in answer.json()["items"]}
    for id_ in rows.keys() | page.rows.keys() - {"(builds)"}:
        row, shown = rows.get(id_, {}), page.rows.get(id_, {})
        names = row.keys() | shown.keys() - {"cachedAt"}
        if any(row.get(name) != shown.get(name) for name in names if name != "cachedAt"):
            finding.add("unseen", f"live: {id_} is shown as {shown}, not {row}")
    return finding


async def _of_a_range(
    client: httpx.AsyncClient, sent: Any, since: datetime, until: datetime, finding: judge.Finding
) -> None:
    """The agents' figures of a range, and of all agents and builds the series' sums."""

    async def items(path: str, **more: str) -> list[dict[str, Any]]:
        span = {"from": since.isoformat(), "to": until.isoformat()} | more
        answer = await client.get(f"/api/v1/{path}", params=span)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    told = {row["agentName"]: row for row in await items("agents/stats")}
    for agent in sent["agents"]:
        wanted = judge.in_range(sent, agent["name"], since, until)
        row = told.get(agent["name"], {})
        if any(row.get(key) != value for key, value in wanted.items()):
            finding.add("wrong", f"{agent['name']} from {since}: {row}, not {wanted}")
    for path, wanted in (
        ("agents/series", judge.in_range(sent, None, since, until)),
        ("builds/series", judge.builds_in_range(sent, since, until)),
    ):
        buckets = await items(path, bucket="1m")
        # The own writes are of no document that was sent; they are all done.
        counted = {key: sum(b[key] for b in buckets) for key in wanted.keys() & _SUMMED}
        if path == "agents/series" and since.month != 2:
            counted.pop("completedTasks")
        if any(wanted[key] != value for key, value in counted.items()):
            finding.add("wrong", f"{path} from {since}: {counted}, not {wanted}")


#: Figures of which the buckets' add up to the range's.
_SUMMED = {"failedTasks", "completedTasks", "executions", "completedBuilds", "failedBuilds"}


async def _of_own_write(
    field: Field, sent: Any, own: OwnWrites, page: Any, started: Any
) -> judge.Finding:
    finding = judge.Finding()
    async with httpx.AsyncClient(base_url=field.address, timeout=20) as client:
        if not await own.write_and_read(client):
            finding.add("hands", "what is written over HTTP cannot be read with its token")
    return finding


async def _of_archive(
    field: Field, sent: Any, own: OwnWrites, page: Any, started: Any
) -> judge.Finding:
    """Something was archived, and a sample of it is read back as it was sent."""
    finding = judge.Finding()
    async with _connected(field) as connection:
        rows = await connection.fetch(
            "SELECT id FROM executions WHERE deleted_at IS NULL AND doc IS NULL ORDER BY md5(id) "
            "LIMIT 20"
        )
    wanted = {document["id"]: document for document in sent["executions"]}
    if not rows:
        finding.add("lost", "nothing was archived")
    async with httpx.AsyncClient(base_url=field.address, timeout=20) as client:
        for row in rows:
            answer = await client.get(f"/api/v1/executions/{row['id']}")
            told = answer.json()
            for name in ("prompt", "response", "model", "agent"):
                if told.get(name) != wanted[row["id"]][name]:
                    finding.add("lost", f"{row['id']} in the archive: {told}")
                    break
    return finding


Look = Callable[[Field, Any, OwnWrites, Page, datetime], Awaitable[judge.Finding]]
_LOOKS: tuple[Look, ...] = (_of_own_write, _of_rows, _of_jobs, _of_readers)


@contextlib.asynccontextmanager
async def _connected(field: Field) -> Any:
    connection = await asyncpg.connect(field.url, timeout=5, command_timeout=30)
    try:
        yield connection
    finally:
        connection.terminate()


def _verdict(
    field: Field,
    finding: judge.Finding,
    snapshots: judge.Snapshots,
    own: OwnWrites,
    page: Page,
    sent: dict[str, Any],
    settled: float | None,
) -> dict[str, Any]:
    finding.add("wrong", *snapshots.wrong)
    finding.add("unseen", *own.unseen)
    finding.add("tracebacks", *field.tracebacks())
    finding.add("hands", *field.gone())
    if settled is None:
        finding.add("hands", "not right again by itself")
    counts = {count: len(finding.get(count, [])) for count in judge.COUNTS}
    return counts | {
        "events": sent["sent"],
        "snapshots": snapshots.seen,
        "reads": own.reads,
        "live": page.events,
        "runs": len(own.asked),
        "settled": settled,
        "told": {count: told[:5] for count, told in finding.items() if told},
    }
