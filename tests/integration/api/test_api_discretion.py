"""What belongs to somebody, and secrets, stay out of every log, metric and problem."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nova_stream.events.change import Entity
from nova_stream.local.ports import free_port
from nova_stream.testing.servers import fresh_database
from tests.integration.stream.harness import Stage, open_stage, until

from .convex_calls import READS, serving

pytestmark = pytest.mark.integration

#: Stands in every e-mail address, prompt, response and detail, wherever they are.
MARK = "zq7private"
SECRETS = ("s3cretzq8", "wrongzq9")
TOKENS = f"app:read+publish+admin:{SECRETS[0]}"

_DOCUMENTS: dict[str, dict[str, Any]] = {
    "users": {"userId": "u", "email": f"{MARK}@example.org", "tier": "free"},
    "executions": {"taskId": "t", "agent": "MARS", "prompt": MARK, "response": MARK, "duration": 5},
    "activities": {
        "userId": "u",
        "agentName": "MARS",
        "eventType": "task_started",
        "details": MARK,
        "timestamp": "2026-02-20T12:00:00Z",
    },
    "tasks": {"buildId": "b", "agent": "MARS", "status": "done", "output": MARK, "error": MARK},
}
LETTERS = "SELECT id, message FROM dead_letters ORDER BY id"
_PRIVATE = ("email", "prompt", "response", "details", "output", "error")


def good() -> list[dict[str, Any]]:
    return [
        {"entity": entity, "after": {"id": f"{entity}-1", **document}}
        for entity, document in _DOCUMENTS.items()
    ]


def bad() -> Iterator[Any]:
    """Events that are refused, each for what is private in it or beside it."""
    for entity, document in _DOCUMENTS.items():
        yield {"entity": entity, "after": document}
        yield {"entity": entity, "after": [document]}
        yield {"entity": entity, "after": MARK}
        yield {"entity": entity, "after": {**document, "id": "\0"}}
        yield {"entity": entity, "after": {"id": "x", **document, "createdAt": {MARK: 1}}}
        for name in _PRIVATE:
            if name in document:
                for value in ([MARK], {"of": MARK}, f"{MARK}\0", 10**400):
                    yield {"entity": entity, "after": {"id": "x", **document, name: value}}


def records() -> Iterator[bytes]:
    """Values that end among the dead letters."""
    yield b'{"op":"u","after":{"id":"e","prompt":"' + MARK.encode() + b'"'
    yield MARK.encode()
    yield b'{"op":"u","after":"' + MARK.encode() + b'","source":{"seq":1}}'
    yield b'{"op":"u","after":{"id":"e2","prompt":"%b\\u0000"},"source":{"seq":1}}' % MARK.encode()
    yield b'{"op":"u","after":{"id":7,"prompt":["%b"]},"source":{"seq":1}}' % MARK.encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("discretion")


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def stage(nova_kafka: str, nova_postgres: str, folder: Path, metrics_port: int) -> Iterator[Stage]:
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with (
        fresh_database(nova_postgres) as database,
        open_stage(nova_kafka, database, prefix, folder) as found,
    ):
        found.start_worker(metrics_port=str(metrics_port), log_level="debug")
        asyncio.run(until("the worker reads", lambda: found.fetch(READS)))
        yield found


@pytest.fixture(scope="module")
def client(stage: Stage, folder: Path) -> Iterator[httpx.Client]:
    with (
        serving(stage, folder, api_tokens=TOKENS, log_level="debug") as address,
        httpx.Client(
            base_url=address, headers={"Authorization": f"Bearer {SECRETS[0]}"}, timeout=20
        ) as found,
    ):
        yield found


def call_the_main_apps_functions(client: httpx.Client) -> None:
    for secret in SECRETS:
        for path in ("atlas:logExecution", "dashboard:logActivity", "nobody:knows"):
            for args in ({"prompt": MARK, "details": [MARK]}, [MARK], MARK):
                body = {"path": path, "args": args}
                client.post(f"/c/{secret}/api/mutation", json=body)
        client.get(f"/c/{secret}/nowhere")
        client.post(f"/c/{secret}/api/query", content=MARK)


def refusals(client: httpx.Client) -> Iterator[httpx.Response]:
    for event in bad():
        yield client.post("/api/v1/events", json=event)
    yield client.post("/api/v1/events", json=list(bad()))
    yield client.post("/api/v1/events", content=f'{{"a": "{MARK}"')
    unknown = {"Authorization": f"Bearer {SECRETS[1]}"}
    yield client.get("/api/v1/overview", headers=unknown)


@pytest.mark.long
def test_problems(client: httpx.Client) -> None:
    assert client.post("/api/v1/events", json=good()).status_code == 202
    for answer in refusals(client):
        assert answer.status_code in {202, 400, 401, 422}
        assert MARK not in answer.text


def test_dead_letters_logs_and_metrics(
    client: httpx.Client, stage: Stage, folder: Path, metrics_port: int
) -> None:
    values = list(records())
    stage.publish(Entity.EXECUTIONS, *values)
    call_the_main_apps_functions(client)
    letters = asyncio.run(
        until("dead letters", lambda: stage.fetch(f"{LETTERS} OFFSET {len(values) - 1}"))
    )
    assert letters
    for letter in asyncio.run(stage.fetch(LETTERS)):
        assert MARK not in letter["message"]
        assert client.post(f"/api/v1/dead-letters/{letter['id']}/retry").status_code == 200

    told = {
        "the API's log": (folder / "api.log").read_text(),
        "the API's metrics": client.get("/metrics").text,
        "the worker's log": stage.worker.log,
        "the worker's metrics": httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text,
    }
    for where, text in told.items():
        assert text, where
        for private in (MARK, *SECRETS):
            assert private not in text, (where, private)
