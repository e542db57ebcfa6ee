"""Traces: nothing when they are off, bounded work when they are on, nothing personal in them."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision
from opentelemetry.trace import Link, StatusCode, Tracer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from nova_stream.api.app import create_app
from nova_stream.api.tracing import TracingMiddleware
from nova_stream.clock import system_clock
from nova_stream.errors import SettingsError
from nova_stream.events.change import Entity
from nova_stream.events.lines import change_line
from nova_stream.kafka.records import RecordMaker
from nova_stream.local.ports import free_port
from nova_stream.settings import load_settings
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.stream import spans
from nova_stream.stream.spans import FlushSpans
from nova_stream.tracing import Headers, publications, publishing, spanning, tracer_of
from nova_stream.tracing_sdk import LinkedSampler, TellingExporter

#: What a program imports and makes, and what of OpenTelemetry it must not have imported then.
#: FastAPI imports its interface by itself.
PROGRAMS = {
    "worker": ("import nova_stream.cli.main, nova_stream.jobs.timers", "opentelemetry"),
    "publisher": (
        "from nova_stream import ChangePublisher; ChangePublisher(settings)",
        "opentelemetry",
    ),
    "API": (
        "from nova_stream.api.app import create_app; create_app(settings)",
        "opentelemetry.sdk",
    ),
}


class Traces(NamedTuple):
    tracer: Tracer
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def traces() -> Iterator[Traces]:
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.sampler = LinkedSampler(provider.sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Traces(provider.get_tracer("test"), exporter)
    provider.shutdown()


class Record(NamedTuple):
    offset: int
    headers: Any
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b"{}"


def parent(number: int, *, sampled: bool = True) -> Headers:
    text = f"00-{number:032x}-{number:016x}-{'01' if sampled else '00'}"
    return [("ce_id", b"x"), ("traceparent", text.encode())]


def chunk(records: list[Record], partition: int = 0) -> Chunk:
    return Chunk(
        topic="nova.tasks",
        entity=Entity.TASKS,
        partition=partition,
        generation=0,
        start=0,
        end=len(records),
        records=records,
        changes=[],
        dead=[],
    )


# -- off -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_of_opentelemetry_is_imported_unless_it_is_wanted(program: str) -> None:
    made, unwanted = PROGRAMS[program]
    code = (
        "import sys\n"
        "from nova_stream import tracing\n"
        "from nova_stream.settings import load_settings\n"
        "settings = load_settings()\n"
        f"{made}\n"
        "tracing.start(settings, 'x'); tracing.finish()\n"
        f"found = [name for name in sys.modules if (name + '.').startswith('{unwanted}.')]\n"
        "assert not found, found"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr


def test_without_traces_a_record_has_no_more_headers() -> None:
    assert tracer_of(load_settings()) is None
    change = change_line({"entity": "tasks", "after": {"id": "t", "status": "done"}})
    names = [name for name, _ in RecordMaker("x", system_clock).make(change).headers]
    assert "traceparent" not in names


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(SettingsError, match=r"NOVA_OTEL=true: .*nova-stream\[otel\]"):
        tracer_of(load_settings(otel=True))


# -- publishing ------------------------------------------------------------------------------------


def test_records_carry_the_publications_span(traces: Traces) -> None:
    with (
        spanning(traces.tracer, "of the caller", "INTERNAL", {}),
        publishing(traces.tracer, {}) as headers,
    ):
        change = change_line({"entity": "tasks", "after": {"id": "t", "status": "done"}})
        record = RecordMaker("x", system_clock).make(change, headers)
    published, caller = traces.spans
    assert published.parent == caller.context
    assert published.context is not None
    (found,) = publications([record.headers], 32)
    assert (found.trace_id, found.span_id) == (
        published.context.trace_id,
        published.context.span_id,
    )


def test_an_error_is_told_by_its_kind_and_not_by_its_words(traces: Traces) -> None:
    with (
        pytest.raises(ValueError, match="a@example"),
        spanning(traces.tracer, "x", "INTERNAL", {}),
    ):
        raise ValueError("a@example.com")
    (span,) = traces.spans
    assert span.status.status_code is StatusCode.ERROR
    assert "example" not in span.to_json()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ValueError"


# -- flushes ---------------------------------------------------------------------------------------


def test_a_flush_is_linked_to_each_sampled_publication_once(traces: Traces) -> None:
    records = [
        Record(0, parent(1)),
        Record(1, parent(1)),
        Record(2, parent(2, sampled=False)),
        Record(3, [("traceparent", b"nonsense")]),
        Record(4, ()),
        Record(5, parent(3)),
        Record(6, [("traceparent", b"\xff")]),
        Record(7, [("traceparent", None)]),
    ]
    applied = AppliedChunk(next_offset=8, epoch=0, changes=7, dead=1)
    FlushSpans(traces.tracer).committed([chunk(records)], [applied], 0.25)
    (span,) = traces.spans
    assert [link.context.trace_id for link in span.links] == [1, 3]
    assert span.parent is None
    assert span.attributes is not None
    assert dict(span.attributes) == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.batch.message_count": 8,
        "nova.changes": 7,
        "nova.dead_letters": 1,
        "nova.partitions": 1,
        "nova.topics": ("nova.tasks",),
        "nova.transaction_seconds": 0.25,
    }
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 250_000_000


def test_the_work_of_a_flush_has_a_limit_and_looks_at_all_of_it(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    def looking(all_headers: Any, limit: int) -> Any:
        def counting() -> Iterator[Any]:
            nonlocal looked_at
            for headers in all_headers:
                looked_at += 1
                yield headers

        return publications(counting(), limit)

    monkeypatch.setattr(spans, "publications", looking)
    chunks = [
        chunk([Record(n, ()) for n in range(4000)]),
        chunk([Record(n, parent(1_000_000 + n)) for n in range(4000)], partition=1),
    ]
    results = [AppliedChunk(next_offset=4000, epoch=0)] * 2
    FlushSpans(traces.tracer).committed(chunks, results, 0.1)
    assert looked_at <= 256
    (span,) = traces.spans
    assert len(span.links) == 32

    looked_at = 0
    bare = [chunk([Record(n, ()) for n in range(8000)], partition=p) for p in range(40)]
    FlushSpans(traces.tracer).committed(bare, [AppliedChunk(next_offset=1, epoch=0)] * 40, 0.1)
    assert 40 <= looked_at <= 256


def test_a_flush_that_is_linked_is_taken_where_others_are_not() -> None:
    sampler = LinkedSampler(ALWAYS_OFF)
    links = [Link(context) for context in publications([parent(1)], 32)]
    assert sampler.should_sample(Context(), 1, "flush").decision is Decision.DROP
    linked = sampler.should_sample(Context(), 1, "flush", links=links)
    assert linked.decision is Decision.RECORD_AND_SAMPLE


# -- requests --------------------------------------------------------------------------------------


async def test_a_request_is_a_span_of_its_callers_trace_and_tells_the_route(
    traces: Traces,
) -> None:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("x", status_code=int(request.path_params["name"]))

    routes = [Route("/agents/{name}", answer), Route("/health/live", answer)]
    app = TracingMiddleware(Starlette(routes=routes), traces.tracer)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        headers = {"traceparent": f"00-{7:032x}-{9:016x}-01"}
        await client.get("/agents/200?secret=1", headers=headers)
        await client.get("/agents/503")
        await client.get("/nowhere/secret")
        await client.request("SECRET", "/agents/200")
    good, bad, unmatched, odd = traces.spans
    assert good.context is not None
    assert good.parent is not None
    assert (good.context.trace_id, good.parent.span_id) == (7, 9)
    assert good.name == "GET /agents/{name}"
    assert good.attributes is not None
    assert good.attributes["http.response.status_code"] == 200
    assert bad.status.status_code is StatusCode.ERROR
    assert bad.parent is None
    assert (unmatched.name, odd.name) == ("GET", "_OTHER /agents/{name}")
    assert not any("secret" in span.to_json().lower() for span in traces.spans)


async def test_the_api_traces_a_request_by_its_route_however_it_is_sent(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nova_stream.api.app.tracer_of", lambda _settings: traces.tracer)
    app = create_app(load_settings(api_token="t", kafka_brokers="127.0.0.1:1"))
    transport = httpx.ASGITransport(app)
    packed = {"Content-Encoding": "gzip", "Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.head("/api/v1/token")
        await client.get("/api/v1/builds/stats")
        await client.post("/api/query", content=gzip.compress(b"{"), headers=packed)
        await client.post("/c/t/api/query", content=gzip.compress(b"{"), headers=packed)
    assert [span.name for span in traces.spans] == [
        "HEAD /api/v1/token",
        "GET /api/v1/builds/stats",
        "POST /api/query",
        "POST /c/{token:path}/api/query",
    ]


# -- the end ---------------------------------------------------------------------------------------


def test_a_collector_that_is_away_is_told_once() -> None:
    results = [SpanExportResult.FAILURE] * 3 + [SpanExportResult.SUCCESS] * 2

    class Away(InMemorySpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return results.pop(0)

    exporter = TellingExporter(Away())
    with capture_logs() as lines:
        while results:
            exporter.export([])
    assert [line["event"] for line in lines] == ["spans cannot be sent", "spans can be sent again"]


def test_a_collector_that_is_away_holds_nobody(tmp_path: Path) -> None:
    code = (
        "from nova_stream import tracing\n"
        "from nova_stream.settings import load_settings\n"
        "settings = load_settings(otel=True)\n"
        "tracing.start(settings, 'test')\n"
        "tracing.tracer_of(settings).start_span('x').end()\n"
        "import time; began = time.monotonic(); tracing.finish()\n"
        "assert time.monotonic() - began < 1.5\n"
    )
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"},
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert time.monotonic() - began < 20
