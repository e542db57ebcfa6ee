"""From a deployment to the rows: a capture, a worker, and the comparison of the two ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr

from nova_stream import ChangePublisher
from nova_stream.cli.main import run
from nova_stream.events.change import Entity
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from tests.integration.capture.harness import capturing, environment, fetch, until
from tests.integration.capture.stand_in import Deployment, Int64, Server
from tests.integration.stream.harness import Stage
from tests.unit.capture.test_mapping import DOCUMENTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def captured(stage: Stage, server: Server, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The stage's settings with the deployment; the environment says the same."""
    found = stage.settings.model_copy(
        update={
            "convex_url": server.url,
            "convex_key": SecretStr(server.deployment.key),
            "convex_poll_seconds": 0.1,
        }
    )
    for name, value in environment(found).items():
        if name.startswith("NOVA_"):
            monkeypatch.setenv(name, value)
    return found


def fill(deployment: Deployment) -> dict[str, str]:
    """A document of every table, and some more of one; their ids by table."""
    for n in range(30):
        deployment.insert("tasks", {**DOCUMENTS["tasks"], "title": f"Task {n}", "attempts": n / 2})
    deployment.insert("executions", {**DOCUMENTS["executions"], "duration": Int64(2**40)})
    deployment.insert("executions", {**DOCUMENTS["executions"], "duration": 0.1 + 0.2})
    deployment.insert(
        "agents", {"name": "VENUS", "gates": [{"name": "a", "least": 0.5}], "model": None}
    )
    return {table: deployment.insert(table, document) for table, document in DOCUMENTS.items()}


def compared(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """The report of ``audit --source`` and its exit status."""
    capsys.readouterr()
    status = run(["audit", "--settle", "3", *options])
    out = capsys.readouterr().out
    return {**json.loads(out.splitlines()[-1]), "status": status}


async def rows(settings: Settings) -> dict[Entity, int]:
    tables = {Entity.ACTIVITIES: "agent_activity_feed", Entity.USERS: "user_profiles"}
    found = {}
    for entity in Entity:
        query = f"SELECT 1 FROM {tables.get(entity, entity.value)} WHERE deleted_at IS NULL"
        found[entity] = len(await fetch(settings, query))
    return found


@pytest.mark.long
def test_the_rows_equal_the_deployment(
    stage: Stage,
    captured: Settings,
    deployment: Deployment,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with asyncio.Runner() as runner:
        ids = fill(deployment)
        stage.start_worker()

        async def first() -> None:
            async with capturing(captured):
                await until("31 tasks", lambda: _has(captured, Entity.TASKS, 31))
                deployment.patch("tasks", ids["tasks"], {"status": "failed"})
                deployment.delete("builds", ids["builds"])
                await until("no build", lambda: _has(captured, Entity.BUILDS, 0))
            assert (await audit(captured)).differences == []

        runner.run(first())
        found = compared(capsys, "--source", "convex")
        assert (found["missing"], found["surplus"], found["different"]) == (0, 0, 0), found
        assert found["compared"] == 31 + 3 + 2 + 1 + 1
        assert found["status"] == 0

        async def spoil() -> None:
            async with ChangePublisher(captured) as publisher:
                await publisher.task({"id": "surplus", "status": "done"}, seq=1)
                later = deployment.now()
                await publisher.task({"id": ids["tasks"], "status": "done"}, seq=later)
                await publisher.delete("agents", ids["agents"], seq=later)
            await until("no agent", lambda: _has(captured, Entity.AGENTS, 1))

        runner.run(spoil())
        found = compared(capsys, "--source", str(captured.convex_url))
        assert (found["missing"], found["surplus"], found["different"]) == (1, 1, 1), found
        assert found["status"] == 1
        found = compared(capsys, "--source", "convex", "--repair")
        assert found["repaired"] == 3
        assert found.get("remaining", 0) == 0

        async def goes_on() -> None:
            deployment.patch("tasks", ids["tasks"], {"status": "running"})
            async with capturing(captured):
                query = "SELECT 1 FROM tasks WHERE status = 'running'"
                await until("the change", lambda: fetch(captured, query))
            assert (await audit(captured)).differences == []

        runner.run(goes_on())
        found = compared(capsys, "--source", "convex")
        assert (found["missing"], found["surplus"], found["different"]) == (0, 0, 0), found

        async def refused() -> None:
            bad = deployment.insert("tasks", {**DOCUMENTS["tasks"], "status": "lost"})
            async with capturing(captured):
                query = "SELECT key, reason, value FROM dead_letters"
                await until("a dead letter", lambda: fetch(captured, query))
            (letter,) = await fetch(captured, query)
            assert (letter["key"], letter["reason"]) == (bad.encode(), "bad_status")
            assert b"lost" in letter["value"]

        runner.run(refused())


async def _has(settings: Settings, entity: Entity, number: int) -> bool:
    return (await rows(settings))[entity] == number


def test_doctor_tells_of_the_deployment_and_its_capture(
    captured: Settings,
    deployment: Deployment,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def findings() -> list[tuple[bool, str]]:
        capsys.readouterr()
        run(["doctor", "--json"])
        checks = json.loads(capsys.readouterr().out)["checks"]
        return [(c["ok"], c["message"]) for c in checks if c["check"] == "convex"]

    place = str(captured.convex_url).removeprefix("http://")
    answers = (True, f"{place} answers, and takes the key")
    assert findings() == [answers, (False, "never captured")]

    async def look() -> list[tuple[bool, str]]:
        async with capturing(captured):
            query = "SELECT 1 FROM source_cursors WHERE caught_up_at IS NOT NULL"
            await until("all is read", lambda: fetch(captured, query))
            return await asyncio.to_thread(findings)

    (_, (good, said)) = asyncio.run(look())
    assert good, said
    assert "captures, 0 s behind" in said
    (_, (good, said)) = findings()
    assert not good
    assert "no instance captures now; everything was read at 2" in said
    deployment.key = "another"
    ((good, said),) = findings()
    assert not good
    assert "refuses the key in NOVA_CONVEX_KEY" in said


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("http://127.0.0.1:1", "is that of http"),
        ("https://x.convex.site", ".convex.cloud"),
        ("mysql://a:secret@b/c", "convex for the deployment"),
    ],
)
def test_the_key_goes_to_no_other_deployment(
    captured: Settings, capsys: pytest.CaptureFixture[str], source: str, told: str
) -> None:
    assert run(["audit", "--source", source]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "secret" not in said
