"""The numbers of a capture, for Prometheus."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from nova_stream.clock import Clock
from nova_stream.events.change import Entity

_KINDS = ("document", "deleted")


class CaptureMetrics:
    """All metrics of one capturing process, in a registry of their own."""

    def __init__(self, clock: Clock) -> None:
        self.registry = registry = CollectorRegistry()
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self._clock = clock
        self._caught_up_at: float | None = None
        self.published = counter(
            "nova_capture_published",
            "Documents and deletions that Kafka acknowledged.",
            ["entity", "kind"],
        )
        self.rejected = counter(
            "nova_capture_rejected", "Documents published only to become dead letters.", ["entity"]
        )
        self.requests = counter(
            "nova_capture_requests",
            "Requests to the source, by what came of them.",
            ["endpoint", "outcome"],
        )
        self.snapshots = counter("nova_capture_snapshots", "Snapshots that were begun.")
        self.leading = gauge(
            "nova_capture_leading", "1 while this instance captures, 0 while it is on standby."
        )
        self.source_up = gauge(
            "nova_capture_source_up", "1 while the source's last answer could be used, else 0."
        )
        self.lag = gauge(
            "nova_capture_lag_seconds",
            "Seconds since the capturing instance had last read everything.",
        )
        self.lag.set_function(self._lag)
        for entity in Entity:
            self.rejected.labels(entity.value)
            for kind in _KINDS:
                self.published.labels(entity.value, kind)

    def caught_up(self) -> None:
        """Note that there is nothing more to read now."""
        self._caught_up_at = self._clock().timestamp()

    def behind_since(self, caught_up_at: float | None) -> None:
        """Note when all had been read for the last time, in epoch seconds; None = never."""
        self._caught_up_at = caught_up_at

    def _lag(self) -> float:
        if self._caught_up_at is None:
            return float("nan")
        return max(self._clock().timestamp() - self._caught_up_at, 0.0)
