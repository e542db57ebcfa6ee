"""From a request to the commit: one trace, received by a real OTLP endpoint."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from nova_stream.events.change import Entity
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage, until
from tests.programs import environment_of

pytestmark = [pytest.mark.integration, pytest.mark.long]

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "s3cret-of-the-caller"


class Span(NamedTuple):
    """A received span, with ids in hexadecimal."""

    service: str
    scope: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, Any]


class Collector:
    """An OTLP endpoint on 127.0.0.1."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                collector.take(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    Span(
                        named["service.name"],
                        scope.scope.name,
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        tuple(link.trace_id.hex() for link in span.links),
                        {a.key: _plain(a.value) for a in span.attributes},
                    )
                    for span in scope.spans
                ]

    async def span(self, what: str, good: Callable[[Span], bool]) -> Span:
        async def look() -> Span | None:
            return next((span for span in list(self.spans) if good(span)), None)

        found: Span = await until(f"a span: {what}, of {self.spans}", look, limit=30)
        return found

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def _plain(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    found = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield found
    found.close()


def environment(stage: Stage) -> dict[str, str]:
    return environment_of(stage.settings, otel="true", api_token=SECRET)


@contextmanager
def serving(stage: Stage, folder: Path) -> Iterator[str]:
    """A ``nova-stream api`` and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nova_stream.cli.main", "api", "--port", "0"],
        env=environment(stage),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http://"))
    finally:
        process.terminate()
        process.communicate(timeout=15)
    assert process.returncode == 0


def post(address: str, changes: list[dict[str, Any]]) -> None:
    headers = {
        "Authorization": f"Bearer {SECRET}",
        "Content-Type": "application/json",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }
    request = Request(f"{address}/api/v1/events", json.dumps(changes).encode(), headers)
    with urlopen(request, timeout=30) as response:
        assert response.status == 202


def ask(url: str) -> None:
    with urlopen(url, timeout=30) as response:
        response.read()


def command(stage: Stage, folder: Path, *words: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "nova_stream.cli.main", *words],
        env=environment(stage),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr


async def test_one_trace_from_the_callers_request_to_the_flush(
    stage: Stage, collector: Collector, tmp_path: Path
) -> None:
    stage.start_worker(otel="true")
    change = {"entity": "tasks", "after": {"id": "t-private", "status": "done", "agent": "MARS"}}
    with serving(stage, tmp_path) as address:
        await asyncio.to_thread(post, address, [change] * 3)
        await asyncio.to_thread(ask, f"{address}/health/live")
        await stage.row("tasks", "t-private")
        request = await collector.span("request", lambda s: s.name == "POST /api/v1/events")
    assert (request.service, request.trace) == ("nova-stream-api", TRACE)
    assert request.parent == "00f067aa0ba902b7"
    assert request.attributes["http.response.status_code"] == 202
    published = await collector.span("publish", lambda s: s.name == "publish")
    assert (published.trace, published.parent) == (TRACE, request.id)
    flush = await collector.span("flush", lambda s: s.name == "flush" and TRACE in s.links)
    assert flush.service == "nova-stream-worker"
    assert flush.links == (TRACE,), "three records of one publication are one link"
    assert flush.attributes["messaging.batch.message_count"] == 3
    assert flush.attributes["nova.partitions"] == 1
    assert 0 < flush.attributes["nova.transaction_seconds"] < 30
    assert {span.scope for span in collector.spans} == {"nova_stream"}
    assert not any("health" in span.name for span in collector.spans)
    told = b"".join(collector.bodies)
    for private in (SECRET, "t-private", "MARS"):
        assert private.encode() not in told


async def test_commands_send_their_spans_before_they_end(
    stage: Stage, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "changes.jsonl").write_text(
        '{"entity": "tasks", "after": {"id": "t", "status": "done"}}\n'
    )
    await asyncio.to_thread(command, stage, tmp_path, "publish", "changes.jsonl")
    published = next(span for span in collector.spans if span.name == "publish")
    await asyncio.to_thread(command, stage, tmp_path, "jobs", "run", "computeAgentStats")
    job = next(span for span in collector.spans if span.name == "job computeAgentStats")
    assert job.attributes["nova.job.outcome"] == "manual"
    stage.start_worker(otel="true")
    await stage.row("tasks", "t")
    await collector.span("flush", lambda s: s.links == (published.trace,))


async def test_without_the_setting_nothing_is_sent(stage: Stage, collector: Collector) -> None:
    stage.start_worker()
    stage.publish(Entity.TASKS, value_of({"id": "t", "status": "done"}, seq=1))
    await stage.row("tasks", "t")
    assert stage.worker.stop() == 0
    assert collector.bodies == []


async def test_a_collector_that_is_away_stops_neither_the_stream_nor_its_end(
    stage: Stage, collector: Collector
) -> None:
    collector.close()
    stage.start_worker(otel="true")
    stage.publish(Entity.TASKS, value_of({"id": "t", "status": "done"}, seq=1))
    await stage.row("tasks", "t")
    assert stage.worker.stop() == 0
