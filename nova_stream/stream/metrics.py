"""The worker's own numbers, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nova_stream.storage.faults import Fault

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RECORDS = (1, 3, 10, 30, 100, 300, 1000, 3000, 8000, 16000)


class Metrics:
    """All metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.applied = counter(
            "nova_changes_applied", "Changes that a committed flush handled.", ["topic"]
        )
        self.dead_letters = counter(
            "nova_dead_letters", "Records that became dead letters.", ["topic"]
        )
        self.moved = counter(
            "nova_records_of_another_source",
            "Dead letters whose lsn is of another server than those known.",
            ["topic"],
        )
        self.incomplete = counter(
            "nova_incomplete_changes",
            "Changes that left out fields as unchanged of which nothing is known.",
            ["topic"],
        )
        self.flushes = counter("nova_flushes", "Committed flushes.")
        self.flush_failures = counter(
            "nova_flush_failures", "Failed attempts of a flush, by kind of fault.", ["fault"]
        )
        self.transaction = histogram(
            "nova_flush_seconds", "Seconds that a flush's transaction took.", buckets=_SECONDS
        )
        self.chunk = histogram("nova_chunk_records", "Records in a chunk.", buckets=_RECORDS)
        self.freshness = histogram(
            "nova_freshness_seconds",
            "Seconds from the time of a change to its commit, for the newest of each flush.",
            buckets=_SECONDS,
        )
        self.lag = gauge(
            "nova_lag_records",
            "Records in the log that are not applied yet.",
            ["topic", "partition"],
        )
        self.buffered = gauge("nova_buffered_bytes", "Bytes fetched that wait for their flush.")
        self.assigned = gauge("nova_assigned_partitions", "Partitions that this worker reads.")
        self.database_up = gauge(
            "nova_database_up", "1 while the last flush or look at Postgres worked, else 0."
        )

        self.registry_up = gauge(
            "nova_schema_registry_up", "1 unless a needed schema cannot be fetched, then 0."
        )
        self.registry_up.set(1)
        self.registry_failures = counter(
            "nova_schema_registry_failures", "Requests to the Schema Registry that failed."
        )
        self.mixed_offsets = gauge(
            "nova_topic_offsets_mixed",
            "1 where versions are offsets and entities have changes in several partitions, else 0.",
            ["topic"],
        )

        self.stopped = gauge(
            "nova_stopped_partitions",
            "Partitions that stand here, since most of their records would be dead letters.",
            ["topic"],
        )

    def know(self, topics: Iterable[str]) -> None:
        """Begin the counters of these topics at 0: an increase from nothing is not seen."""
        for topic in topics:
            self.applied.labels(topic)
            self.dead_letters.labels(topic)
            self.moved.labels(topic)
            self.incomplete.labels(topic)
        for fault in Fault:
            self.flush_failures.labels(fault.value)
