"""The spans of flushes, linked to the publications whose records they applied."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nova_stream.events.records import known_bare
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.tracing import publications

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

#: Publications that one flush is linked to, and records that are looked at for them: a flush may
#: have thousands.
_LINKS = 32
_LOOKED_AT = 256


class FlushSpans:
    """Makes a span of each committed flush, in bounded time however large the flush is."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def committed(
        self, chunks: Sequence[Chunk], results: Sequence[AppliedChunk], seconds: float
    ) -> None:
        """Tell of a flush whose transaction took ``seconds`` and has just been committed."""
        from opentelemetry.context import Context  # noqa: PLC0415 - an extra
        from opentelemetry.trace import Link, SpanKind  # noqa: PLC0415 - an extra

        end = time.time_ns()
        span = self._tracer.start_span(
            "flush",
            Context(),
            SpanKind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.batch.message_count": sum(len(chunk.records) for chunk in chunks),
                "nova.changes": sum(applied.changes for applied in results),
                "nova.dead_letters": sum(applied.dead for applied in results),
                "nova.partitions": len(chunks),
                "nova.topics": sorted({chunk.topic for chunk in chunks}),
                "nova.transaction_seconds": seconds,
            },
            [Link(context) for context in publications(_some_headers(chunks), _LINKS)],
            start_time=end - int(seconds * 1e9),
        )
        span.end(end)


def _some_headers(chunks: Sequence[Chunk]) -> Iterator[Any]:
    """Headers of records from all chunks, evenly, of at most ``_LOOKED_AT`` records or of one a
    chunk.
    """
    share = max(1, _LOOKED_AT // len(chunks))
    for chunk in chunks:
        records = chunk.records
        if known_bare(records):
            continue
        step = -(-len(records) // share) or 1
        for place in range(0, len(records), step):
            headers = records[place].headers
            yield headers.items() if isinstance(headers, dict) else headers or ()
