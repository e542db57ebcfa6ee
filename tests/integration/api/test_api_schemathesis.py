"""The API does what its OpenAPI document says, whatever is sent: against a serving process with a
real Kafka, Postgres and worker. ``--hypothesis-profile=thorough`` sends far more, and other
requests each time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nova_stream.events.change import Entity
from nova_stream.scopes import NAMES, SCOPES
from nova_stream.testing.servers import fresh_database
from tests.integration.stream.harness import Stage, open_stage
from tests.programs import environment_of

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(3600)]

SERVE = """
from nova_stream.api.server import serve
from nova_stream.settings import load_settings
serve(load_settings(), "127.0.0.1", 0)
"""
#: Tokens by their scopes.
SECRETS = {"none": "", **{name: f"{name}-secret" for name in (*NAMES, "all")}}
#: An answer without end; test_api_stream looks at it.
ENDLESS = "/api/v1/stream"
#: A token or cursor that publishing or a list has not given is refused, which no schema can say.
UNSAYABLE = "positive_data_acceptance"
THOROUGH = settings.get_current_profile_name() == "thorough"
PROFILE = settings(
    max_examples=3000 if THOROUGH else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Served(NamedTuple):
    """Where the API is, and what runs behind it."""

    address: str
    stage: Stage
    folder: Path


@pytest.fixture(scope="module")
def served(
    nova_kafka: str, nova_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with (
        fresh_database(nova_postgres) as database,
        open_stage(nova_kafka, database, prefix, folder) as stage,
    ):
        stage.start_worker()
        with serving(stage, folder) as address:
            fill(address)
            yield Served(address, stage, folder)
            stage.worker.must_run()


@contextmanager
def serving(stage: Stage, folder: Path) -> Iterator[str]:
    """An API process on the stage, with a token for each set of scopes."""
    tokens = [
        f"{name}:{'+'.join(SCOPES) if name == 'all' else name}:{secret}"
        for name, secret in SECRETS.items()
        if secret
    ]
    environment = environment_of(stage.settings, api_tokens=",".join(tokens), api_rate="0")
    log = folder / "api.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http://"))
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.communicate(timeout=20)


def fill(address: str) -> None:
    """Something of everything, so that there is what the document's examples name."""
    events: list[dict[str, Any]] = [
        {"entity": "agents", "after": {"id": "agent-ANDROMEDA", "name": "ANDROMEDA"}},
        {"entity": "builds", "after": {"id": "b0001", "status": "running"}},
        {
            "entity": "tasks",
            "after": {"id": "t1", "buildId": "b0001", "agent": "ANDROMEDA", "status": "done"},
        },
        {"entity": "executions", "after": {"id": "e1", "agent": "ANDROMEDA", "duration": 5}},
        {"entity": "activities", "after": {"id": "v1", "agentName": "ANDROMEDA"}},
    ]
    headers = {"Authorization": f"Bearer {SECRETS['all']}"}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
        response = client.post("/api/v1/events", json=events)
        assert response.status_code == 202, response.text
        params = {"after": response.json()["token"], "timeout": "50"}
        assert client.get("/api/v1/overview", params=params).status_code == 200


@pytest.mark.parametrize("scopes", SECRETS)
def test_no_5xx_and_no_undocumented_answer(served: Served, scopes: str) -> None:
    poison(served.stage)
    folder = served.folder / scopes
    folder.mkdir()
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{served.address}/openapi.json",
            "--exclude-path",
            ENDLESS,
            "--checks",
            "all",
            "--exclude-checks",
            UNSAYABLE,
            *amount(scopes),
            "--request-timeout",
            "70",
            "--no-color",
            "--warnings",
            "off",
            *(["--header", f"Authorization: Bearer {SECRETS[scopes]}"] if SECRETS[scopes] else []),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr}"
    assert "Stateful" in found.stdout


def amount(scopes: str) -> list[str]:
    """The same requests each time, unless there is time to look for others."""
    if THOROUGH:
        return ["--max-examples=300", "--generation-database=none"]
    return [f"--max-examples={12 if scopes == 'all' else 4}", "--generation-deterministic"]


def poison(stage: Stage) -> None:
    """A dead letter, so that there is one to look at."""
    producer = stage.producer()
    producer.produce(stage.settings.topic(Entity.USERS), b"{", b"u-1")
    assert producer.flush(30) == 0


_TEXT = st.text(max_size=20)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_FIELDS = ("id", "name", "agent", "status", "duration", "timestamp", "createdAt", "buildId")
_DOCUMENT = st.dictionaries(
    st.sampled_from(_FIELDS),
    st.sampled_from(["t-1", "done", "MARS", 5, 1771588800000, "2026-02-20T12:00:00Z"]) | _ANYTHING,
)
#: Near what is right, so that much of it is checked to the end.
_EVENT = st.fixed_dictionaries(
    {"entity": st.sampled_from([entity.value for entity in Entity]) | _ANYTHING},
    optional={
        "op": st.sampled_from(["c", "u", "d", "r"]) | _ANYTHING,
        "seq": st.integers(-1, 2**64) | _ANYTHING,
        "minor": st.integers(-1, 2**32) | _ANYTHING,
        "ts_ms": st.integers(-(10**16), 10**16) | _ANYTHING,
        "after": _DOCUMENT | _ANYTHING,
        "before": _DOCUMENT | _ANYTHING,
    },
)
_BODY = st.one_of(
    st.binary(max_size=200),
    _ANYTHING.map(lambda value: json.dumps(value).encode()),
    _EVENT.map(lambda event: json.dumps(event).encode()),
    st.lists(_EVENT, max_size=4).map(lambda events: json.dumps(events).encode()),
)


@PROFILE
@given(body=_BODY, media_type=st.sampled_from(["application/json", "text/plain", "x/\xff", ""]))
def test_events_takes_or_refuses_whatever_comes(
    served: Served, body: bytes, media_type: str
) -> None:
    response = httpx.post(
        f"{served.address}/api/v1/events",
        content=body,
        headers=[
            (b"Authorization", f"Bearer {SECRETS['publish']}".encode()),
            (b"Content-Type", media_type.encode("latin-1")),
        ],
        timeout=60,
    )
    assert response.status_code in (202, 422), response.text
    if response.status_code == 202:
        assert set(response.json()) == {"accepted", "token"}
    else:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"]


def test_all_that_was_taken_is_applied(served: Served) -> None:
    headers = {"Authorization": f"Bearer {SECRETS['read']}"}
    with httpx.Client(base_url=served.address, headers=headers, timeout=60) as client:
        end = time.monotonic() + 60
        while client.get("/api/v1/stream/status").json()["lag"] != 0:
            assert time.monotonic() < end, served.stage.worker.log[-4000:]
            time.sleep(0.2)
