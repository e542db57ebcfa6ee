"""Captures of a deployment: whatever happens, the topics say in the end what its tables hold."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from nova_stream.capture import lease
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.capture.process import capture
from nova_stream.cli.main import run
from nova_stream.clock import system_clock
from nova_stream.errors import SettingsError, SourceRefusedError
from nova_stream.events.change import Entity
from nova_stream.settings import Settings
from nova_stream.storage.apply import sql
from nova_stream.storage.capture import cursor
from tests.integration.capture.harness import (
    Topics,
    capturing,
    environment,
    fetch,
    instance,
    until,
)
from tests.integration.capture.stand_in import Deployment, Fault, Int64, Server, Write, serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def task(n: int, status: str = "done") -> dict[str, Any]:
    return {
        "taskId": f"T-{n}",
        "title": f"Task {n}",
        "agent": "MARS",
        "status": status,
        "dependencies": [],
        "phase": 1,
        "attempts": 0,
        "createdAt": "2026-02-20T11:00:00.000Z",
    }


def fill(deployment: Deployment, tasks: int = 20) -> list[str]:
    """An agent and some tasks; the tasks' ids."""
    deployment.insert("agents", {"name": "MARS", "role": "coder"})
    return [deployment.insert("tasks", task(n)) for n in range(tasks)]


async def test_a_snapshot_and_what_changes_afterwards(
    deployment: Deployment, settings: Settings
) -> None:
    deployment.snapshot_page = 7
    ids = fill(deployment)
    deployment.insert("userProfiles", {"userId": "u1", "tier": "pro", "visits": Int64(2**60)})
    deployment.insert("patterns", {"name": "none of ours"})
    deployment.insert("tasks", task(99), component="workpool")
    async with capturing(settings), Topics(settings) as topics:
        await topics.shows(deployment)
        first = {r.op for r in topics.records}
        deployment.patch("tasks", ids[0], {"status": "failed"})
        deployment.delete("tasks", ids[1])
        created = deployment.insert("builds", {"prdId": "p", "status": "running"})
        deployment.insert("patterns", {"name": "none of ours"})
        await topics.shows(deployment)
        # In one transaction, and one document twice in one page.
        deployment.transact([Write("builds", created, None), Write("tasks", ids[2], task(2))])
        deployment.patch("tasks", ids[3], {"status": "running"})
        deployment.delete("tasks", ids[3])
        await topics.shows(deployment)
    assert first == {"r"}
    assert len({(r.id, r.version) for r in topics.records}) == len(topics.records)
    (cursor,) = await fetch(settings, "SELECT * FROM source_cursors")
    assert (cursor["phase"], cursor["holder"]) == ("deltas", None)
    known = await fetch(settings, "SELECT id FROM source_documents WHERE entity = 'tasks'")
    assert {row["id"] for row in known} == set(deployment.documents("tasks"))


async def test_the_version_is_the_time_of_the_transaction(
    deployment: Deployment, settings: Settings
) -> None:
    identity = deployment.new_id()
    written = deployment.transact([Write("agents", identity, {"name": "MARS"})])
    async with capturing(settings), Topics(settings) as topics:
        await topics.shows(deployment)
        changed = deployment.transact([Write("agents", identity, {"name": "VENUS"})])
        await topics.shows(deployment)
        gone = deployment.transact([Write("agents", identity, None)])
        await topics.shows(deployment)
    assert [(r.op, r.version) for r in topics.records] == [
        ("r", (written, 0)),
        ("u", (changed, 0)),
        ("d", (gone, 0)),
    ]


async def test_a_new_instance_goes_on_from_the_cursor(
    deployment: Deployment, settings: Settings
) -> None:
    ids = fill(deployment)
    async with Topics(settings) as topics:
        async with capturing(settings):
            await topics.shows(deployment)
            deployment.delete("tasks", ids[1])  # a change, which comes when the snapshot is over
            await topics.shows(deployment)
        deployment.delete("tasks", ids[0])
        deployment.requests.clear()
        async with capturing(settings):
            await topics.shows(deployment)
    assert "list_snapshot" not in {endpoint for endpoint, _ in deployment.requests}


async def test_a_cursor_that_is_too_old_leads_to_a_snapshot_that_deletes_what_is_gone(
    deployment: Deployment, settings: Settings
) -> None:
    deployment.snapshot_page = 6
    ids = fill(deployment)
    async with Topics(settings) as topics:
        async with capturing(settings):
            await topics.shows(deployment)
        deployment.delete("tasks", ids[0])
        deployment.patch("tasks", ids[1], {"status": "failed"})
        deployment.insert("tasks", task(50))
        deployment.forget_before = deployment.now()
        with capture_logs() as lines:
            async with capturing(settings):
                await topics.shows(deployment)
                # A later change of what is gone outranks its deletion.
                deployment.transact([Write("tasks", ids[0], task(0, "running"))])
                await topics.shows(deployment)
    said = [line["event"] for line in lines if line["log_level"] == "warning"]
    assert said == ["the source no longer has the changes after the cursor"]


async def test_a_snapshot_that_expires_is_begun_anew(
    deployment: Deployment, settings: Settings
) -> None:
    deployment.snapshot_page = 3
    ids = fill(deployment)
    async with Topics(settings) as topics:
        deployment.faults.extend([None] * 4 + [Fault("drop")])

        async def expire() -> None:
            await until("some pages are read", lambda: not deployment.faults)
            deployment.delete("tasks", ids[0])
            deployment.delete("tasks", ids[-1])
            deployment.refuse_snapshots_before = deployment.now()
            deployment.forget_before = deployment.now()

        async with capturing(settings):
            await expire()
            await topics.shows(deployment)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, {"Retry-After": "1"}),
        Fault(429, {"Retry-After": "soon"}),
        Fault(500),
        Fault(502),
        Fault(503),
        Fault(408),
        Fault("drop"),
        Fault("garbage"),
    ],
    ids=str,
)
async def test_what_passes_is_waited_for_and_told_once(
    deployment: Deployment, settings: Settings, fault: Fault
) -> None:
    fill(deployment)
    deployment.faults.extend([fault, fault, None, fault])
    with capture_logs() as lines:
        async with capturing(settings), Topics(settings) as topics:
            await topics.shows(deployment)
    said = [line["event"] for line in lines if "waiting" in line["event"]]
    once = ["waiting", "no longer waiting"]
    # A connection that is dropped between two requests is opened again without a word.
    assert said in ((once, once * 2) if fault.kind == "drop" else (once * 2,))


@pytest.mark.parametrize(
    ("place", "statement", "says"),
    [
        (cursor, "_ACQUIRE", "the capture's tables cannot be used"),
        (cursor, "_STORE", "the capture's tables cannot be used"),
        (cursor, "_RENEW", "the lease cannot be renewed"),
        (cursor, "_RELEASE", "the lease cannot be given back"),
        (sql, "READ_TOPICS", "the capture's tables cannot be used"),
    ],
)
async def test_a_statement_that_postgres_refuses_is_told(
    deployment: Deployment,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    place: ModuleType,
    statement: str,
    says: str,
) -> None:
    monkeypatch.setattr(lease, "_RENEW_S", 0.1)
    monkeypatch.setattr(place, statement, "SELECT no_such_column FROM source_cursors")
    fill(deployment, 1)
    held = "SELECT holder FROM source_cursors WHERE holder IS NOT NULL"

    async def is_told() -> bool:
        return any(line["event"] == says for line in log)

    with capture_logs() as log:
        async with capturing(settings):
            if statement != "_RELEASE":
                await until("it is told", is_told)
            else:
                await until("it captures", lambda: fetch(settings, held))
    assert await is_told()
    (line, *_) = (line for line in log if line["event"] == says)
    assert (line["error"], line["log_level"]) == ("UndefinedColumnError (42703)", "error")


async def test_a_document_that_cannot_be_applied_hinders_no_other(
    deployment: Deployment, settings: Settings
) -> None:
    fill(deployment, 3)
    bad = deployment.insert("tasks", task(7, "lost"))
    deployment.insert("executions", {"agent": "MARS", "prompt": "\1" * 2_000_000})
    metrics = CaptureMetrics(system_clock)
    running = asyncio.create_task(capture(settings, metrics, system_clock))
    async with Topics(settings) as topics:

        async def all_is_there() -> bool:
            state = await topics.state()
            return len(state[Entity.TASKS]) == 4 and len(state[Entity.EXECUTIONS]) == 1

        await until("all is published", all_is_there)
        (letter,) = [r for r in topics.records if r.id == bad]
        assert letter.after is not None
        assert letter.after["status"] == "lost"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (
        metrics.registry.get_sample_value("nova_capture_rejected_total", {"entity": "tasks"}) == 1
    )


@pytest.mark.parametrize("problem", ["key", "plan", "path"])
async def test_what_a_person_must_see_to_ends_it_with_one_line(
    deployment: Deployment, settings: Settings, problem: str
) -> None:
    if problem == "key":
        deployment.key = "another"
    if problem == "plan":
        deployment.streaming_export_enabled = False
    if problem == "path":
        settings = settings.model_copy(update={"convex_url": f"{settings.convex_url}/nowhere"})
    with pytest.raises(SourceRefusedError) as caught:
        await capture(settings, CaptureMetrics(system_clock), system_clock)
    message = str(caught.value)
    wanted = {"key": "NOVA_CONVEX_KEY", "plan": "Professional", "path": "NOVA_CONVEX_URL"}
    assert wanted[problem] in message
    assert "\n" not in message
    assert settings.convex_key is not None
    assert settings.convex_key.get_secret_value() not in message


async def test_a_wrong_key_is_exit_status_2_without_a_traceback(
    deployment: Deployment, settings: Settings, tmp_path: Path
) -> None:
    with instance(settings, tmp_path / "log", NOVA_CONVEX_KEY="wrong|secret") as started:
        assert await started.ends() == 2
    (line,) = [line for line in started.log.splitlines() if line.startswith("error: ")]
    assert "refuses the key in NOVA_CONVEX_KEY: 403 BadDeployKey" in line
    assert "Traceback" not in started.log
    assert "secret" not in started.log


async def test_another_deployment_is_refused_until_a_new_snapshot_is_asked_for(
    deployment: Deployment, settings: Settings, server: Server, tmp_path: Path
) -> None:
    fill(deployment, 3)
    async with Topics(settings) as topics, capturing(settings):
        await topics.shows(deployment)
    moved = settings.model_copy(update={"convex_url": f"http://localhost:{server.port}"})
    with pytest.raises(SettingsError, match=r"holds what was captured from http://127\.0\.0\.1"):
        await capture(moved, CaptureMetrics(system_clock), system_clock)


async def test_a_new_snapshot_is_read_when_it_is_asked_for(
    deployment: Deployment,
    settings: Settings,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(deployment, 5)

    async def ask(address: str) -> None:
        for name, value in environment(settings).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NOVA_CONVEX_URL", address)
        assert await asyncio.to_thread(run, ["capture", "convex", "--new-snapshot"]) == 0

    def asked() -> bool:
        return any(endpoint == "list_snapshot" for endpoint, _ in deployment.requests)

    async with Topics(settings) as topics:
        async with capturing(settings):
            await topics.shows(deployment)
            deployment.requests.clear()
            await ask(server.url)
            await until("a snapshot", asked)
            deployment.insert("tasks", task(8))
            await topics.shows(deployment)
        # Another deployment, which has other documents.
        other = Deployment(first_id=1000)
        fill(other, 2)
        with serving(other) as moved:
            await ask(moved.url)
            there = settings.model_copy(update={"convex_url": moved.url})
            async with capturing(there):
                await topics.shows(other)


async def test_sigterm_lets_the_next_one_take_over_at_once(
    deployment: Deployment, settings: Settings, tmp_path: Path
) -> None:
    fill(deployment)
    with instance(settings, tmp_path / "first") as first:
        await first.says("snapshot complete")
        with instance(settings, tmp_path / "second") as second:
            await second.says("standing by")
            first.signal(signal.SIGTERM)
            await second.says("capturing", 5)
            assert await first.ends(10) == 0
            assert first.lines("stopped")
            deployment.insert("agents", {"name": "VENUS"})
            async with Topics(settings) as topics:
                await topics.shows(deployment)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_second_instance_takes_over_within_10_seconds(
    deployment: Deployment, settings: Settings, tmp_path: Path, how: signal.Signals
) -> None:
    ids = fill(deployment)
    with (
        instance(settings, tmp_path / "first") as first,
        instance(settings, tmp_path / "second") as second,
    ):
        await until(
            "a snapshot",
            lambda: first.lines("snapshot complete") or second.lines("snapshot complete"),
        )
        old, new = (first, second) if first.lines("capturing") else (second, first)
        await new.says("standing by")
        old.signal(how)
        deployment.patch("tasks", ids[0], {"status": "failed"})
        await new.says("capturing", 10)
        async with Topics(settings) as topics:
            await topics.shows(deployment, 5)
            deployment.delete("tasks", ids[1])
            await topics.shows(deployment, 5)
            if how == signal.SIGSTOP:
                old.signal(signal.SIGCONT)
                await old.says("standing by", 10)
                deployment.insert("tasks", task(40))
                await topics.shows(deployment, 5)
                assert len(await fetch(settings, "SELECT 1 FROM source_cursors")) == 1
