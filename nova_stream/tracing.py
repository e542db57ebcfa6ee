"""Traces from publishing to commit, by OpenTelemetry: an option, ``NOVA_OTEL``.

Without it nothing here imports OpenTelemetry and no span is made: ``tracer_of`` gives None, and
whoever has no tracer does nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nova_stream.errors import SettingsError
from nova_stream.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext, Tracer

Headers = list[tuple[str, bytes]]

_NAME = "nova_stream"
_PARENT = "traceparent"
#: At the end spans have so many seconds to be sent: a collector that is away must not hold us.
_LAST_SEND_S = 1.0


def start(settings: Settings, program: str) -> None:
    """Send this process's spans, from here on, to where the ``OTEL_…`` variables say.

    Does nothing unless ``NOVA_OTEL`` is set. Raises SettingsError when the packages are missing.
    """
    if not settings.otel:
        return
    try:
        from nova_stream import tracing_sdk  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise _missing() from None
    tracing_sdk.install(program)


def finish() -> None:
    """Send what is still here, within a second; for the end of a process."""
    trace = sys.modules.get("opentelemetry.trace")
    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None) if trace else None
    if shutdown is not None:
        thread = threading.Thread(target=shutdown, name="last spans", daemon=True)
        thread.start()
        thread.join(_LAST_SEND_S)


def tracer_of(settings: Settings) -> Tracer | None:
    """Makes spans; None unless ``NOVA_OTEL`` is set.

    In a program of somebody else's the spans go where that program sends its own. Raises
    SettingsError when the packages are missing.
    """
    if not settings.otel:
        return None
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
    except ImportError:
        raise _missing() from None
    return trace.get_tracer(_NAME)


@contextmanager
def spanning(
    tracer: Tracer,
    name: str,
    kind: str,
    attributes: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Span]:
    """A span of ``kind`` (an OpenTelemetry SpanKind's name) around what is done inside.

    It belongs to the trace that ``headers`` (W3C) name, else to the span that is open. An error is
    told by its kind alone: its words may hold what belongs to somebody.
    """
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra
    from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - an extra

    parent = None
    if headers is not None:
        parent = tracecontext.TraceContextTextMapPropagator().extract(headers)
    with tracer.start_as_current_span(
        name,
        parent,
        SpanKind[kind],
        attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            mark_failed(span)
            raise


def mark_failed(span: Span) -> None:
    """Say that what the span is about did not end well."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - an extra

    span.set_status(StatusCode.ERROR)


@contextmanager
def publishing(tracer: Tracer, attributes: Mapping[str, Any]) -> Iterator[Headers]:
    """A span around a publication; gives the headers that each of its records is to have."""
    from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - an extra

    fixed = {"messaging.system": "kafka", "messaging.operation.type": "send"}
    with spanning(tracer, "publish", "PRODUCER", {**fixed, **attributes}):
        carrier: dict[str, str] = {}
        tracecontext.TraceContextTextMapPropagator().inject(carrier)
        yield [(name, value.encode()) for name, value in carrier.items()]


def publications(all_headers: Iterable[Any], limit: int) -> list[SpanContext]:
    """The sampled spans, at most ``limit`` and each once, that records' headers name."""
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - an extra
    from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - an extra

    read = tracecontext.TraceContextTextMapPropagator().extract
    found: dict[bytes, SpanContext] = {}
    for headers in all_headers:
        parent = next((value for name, value in headers if name == _PARENT), None)
        if parent is None or parent in found:
            continue
        text = parent.decode("ascii", "replace")
        context = get_current_span(read({_PARENT: text})).get_span_context()
        if context.is_valid and context.trace_flags.sampled:
            found[parent] = context
            if len(found) == limit:
                break
    return list(found.values())


def _missing() -> SettingsError:
    return SettingsError(
        "NOVA_OTEL=true: OpenTelemetry is not installed; pip install 'nova-stream[otel]', or false "
        "is allowed"
    )
