"""The API's own numbers, for Prometheus."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ApiMetrics:
    """Counters in a registry of their own, so that several APIs in one process do not mix."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.requests = counter(
            "nova_api_requests",
            "Requests answered, by route and status.",
            ["method", "route", "status"],
        )
        self.seconds = histogram(
            "nova_api_request_seconds",
            "Seconds from a request's arrival to the end of its answer, waiting included.",
            ["method", "route"],
            buckets=_SECONDS,
        )
        self.waits = histogram(
            "nova_api_wait_seconds",
            "Seconds that reads with ?after= waited until the caches showed their token.",
            ["reached"],
            buckets=_SECONDS,
        )
        self.published = counter(
            "nova_api_published_changes",
            "Changes that Kafka acknowledged for POST /api/v1/events, by entity.",
            ["entity"],
        )
        self.streams = gauge("nova_api_streams", "Streams of changes that are open.")
        self.connections = gauge("nova_api_connections", "Connections that are open.")
        self.closed = counter(
            "nova_api_connections_closed",
            "Connections that the server ended: slow headers, slow body, not read (an answer), "
            "no place (somebody else needed it), too many.",
            ["reason"],
        )
        self.looks = histogram(
            "nova_api_look_seconds",
            "Seconds that each shared check for changes took.",
            buckets=_SECONDS,
        )

    def text(self) -> bytes:
        """Everything in Prometheus' text form."""
        return generate_latest(self.registry)
