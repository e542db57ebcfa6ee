"""Changes into Kafka: through the publisher, and what it refuses as it is.

A document that cannot be applied must be lost to nobody: its record goes out all the same, becomes
a dead letter with its bytes, and hinders no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from nova_stream.capture.mapping import Rejection
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.clock import Clock, to_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import Version
from nova_stream.events.lines import ChangeLine
from nova_stream.kafka.records import MAX_RECORD_BYTES, RecordMaker
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.publish.raw import BY_KEY, RawPublisher, RawRecord, change_record
from nova_stream.settings import Settings
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

SOURCE_NAME = "convex"


class Sender:
    """Sends changes and comes back once Kafka has acknowledged all of them."""

    def __init__(self, settings: Settings, metrics: CaptureMetrics, clock: Clock) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._publisher = ChangePublisher(settings, source_name=SOURCE_NAME, clock=clock)
        self._started = False
        self._maker = RecordMaker(SOURCE_NAME, clock)
        self._told: set[tuple[str, str]] = set()

    async def send(self, changes: Sequence[ChangeLine | Rejection]) -> None:
        """Publish all changes, in their order but for those that are rejected.

        Raises KafkaUnavailableError, PublishError or TopicError; to send them again is safe.
        """
        if not self._started:
            await self._publisher.start()
            self._started = True
        lines = [change for change in changes if isinstance(change, ChangeLine)]
        rejected = [change for change in changes if isinstance(change, Rejection)]
        try:
            await self._publisher.publish(lines)
        except RejectedError:
            # Nothing of a list is sent when one is refused, which is rare: look for it.
            lines, more = self._sort(lines)
            rejected += more
            await self._publisher.publish(lines)
        if rejected:
            async with RawPublisher(self._settings) as raw:
                await raw.send([self._record(change) for change in rejected])
        self._count(lines, rejected)

    async def close(self) -> None:
        """Let go of everything; may be repeated."""
        await self._publisher.close()
        self._started = False

    def _sort(self, lines: Iterable[ChangeLine]) -> tuple[list[ChangeLine], list[Rejection]]:
        good, bad = [], []
        for line in lines:
            try:
                self._maker.make(line)
            except RejectedError as error:
                assert line.seq is not None
                bad.append(
                    Rejection(
                        line.entity,
                        line.id,
                        line.op,
                        line.seq,
                        line.ts_ms,
                        dict(line.document or {}),
                        error,
                    )
                )
            else:
                good.append(line)
        return good, bad

    def _record(self, change: Rejection) -> RawRecord:
        ts_ms = to_millis(self._clock()) if change.ts_ms is None else change.ts_ms
        make = partial(
            change_record,
            (self._settings.topic(change.entity), BY_KEY),
            change.entity,
            change.op,
            change.id,
            Version(change.seq),
            {"seq": change.seq},
            ts_ms=ts_ms,
            source_name=SOURCE_NAME,
        )
        record = make(after=change.document)
        size = len(record.value or b"")
        if size <= MAX_RECORD_BYTES:
            return record
        return make(after=f"a document of {size} bytes, too large for a record; it is in Convex")

    def _count(self, lines: Iterable[ChangeLine], rejected: Iterable[Rejection]) -> None:
        for line in lines:
            self._metrics.published.labels(
                line.entity.value, "deleted" if line.op == "d" else "document"
            ).inc()
        for change in rejected:
            self._metrics.rejected.labels(change.entity.value).inc()
            kind = (change.entity.value, change.reason.reason)
            if kind not in self._told:
                self._told.add(kind)
                _log.warning(
                    "documents become dead letters",
                    entity=change.entity.value,
                    reason=change.reason.reason,
                    id=change.id,
                    error=str(change.reason),
                    then="others of this kind are counted, not named",
                )
