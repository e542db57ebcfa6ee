"""OpenTelemetry's SDK as nova-stream's programs use it; imported only where spans are wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from nova_stream.telemetry import get_logger

_log = get_logger(__name__)


class LinkedSampler(Sampler):
    """Takes every span that is linked to a sampled one, and of the rest what ``other`` takes.

    A flush has many publications and no parent: by the usual samplers it would be taken or left
    whatever became of them.
    """

    def __init__(self, other: Sampler) -> None:
        self._other = other

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if any(link.context.trace_flags.sampled for link in links or ()):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return self._other.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return f"Linked({self._other.get_description()})"


class TellingExporter(SpanExporter):
    """Sends by ``other``, and tells once when that begins to fail and once when it works again."""

    def __init__(self, other: SpanExporter) -> None:
        self._other = other
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._other.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            _log.warning("spans cannot be sent", then="waiting spans are dropped, nothing else")
        elif self._failing and not failed:
            _log.info("spans can be sent again")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        self._other.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._other.force_flush(timeout_millis)


def install(program: str) -> None:
    """Make and set the process's provider: OTLP over HTTP, by the ``OTEL_…`` variables."""
    # Not shut down at exit: that would wait for a collector that is away.
    provider = TracerProvider(resource=_resource(program), shutdown_on_exit=False)
    provider.sampler = LinkedSampler(provider.sampler)
    provider.add_span_processor(BatchSpanProcessor(TellingExporter(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)


def _resource(program: str) -> Resource:
    attributes = {"service.version": version("nova-stream")}
    named = "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not named and not os.environ.get("OTEL_SERVICE_NAME"):
        attributes["service.name"] = program
    return Resource.create(attributes)
