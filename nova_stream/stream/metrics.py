"""The worker's own numbers, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nova_stream.storage.faults import Fault

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RECORDS = (1, 3, 10, 30, 100, 300, 1000, 3000, 8000, 16000)


class Metrics:
    """All metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.applied = Counter(
            "nova_changes_applied",
            "Changes that a committed flush handled.",
            ["topic"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "nova_dead_letters", "Records that became dead letters.", ["topic"], registry=registry
        )
        self.moved = Counter(
            "nova_records_of_another_source",
            "Dead letters whose lsn is of another server than those known.",
            ["topic"],
            registry=registry,
        )
        self.incomplete = Counter(
            "nova_incomplete_changes",
            "Changes that left out fields as unchanged of which nothing is known.",
            ["topic"],
            registry=registry,
        )
        self.flushes = Counter("nova_flushes", "Committed flushes.", registry=registry)
        self.flush_failures = Counter(
            "nova_flush_failures",
            "Failed attempts of a flush, by kind of fault.",
            ["fault"],
            registry=registry,
        )
        self.transaction = Histogram(
            "nova_flush_seconds",
            "Seconds that a flush's transaction took.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.chunk = Histogram(
            "nova_chunk_records", "Records in a chunk.", buckets=_RECORDS, registry=registry
        )
        self.freshness = Histogram(
            "nova_freshness_seconds",
            "Seconds from the time of a change to its commit, for the newest of each flush.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.lag = Gauge(
            "nova_lag_records",
            "Records in the log that are not applied yet.",
            ["topic", "partition"],
            registry=registry,
        )
        self.buffered = Gauge(
            "nova_buffered_bytes", "Bytes fetched that wait for their flush.", registry=registry
        )
        self.assigned = Gauge(
            "nova_assigned_partitions", "Partitions that this worker reads.", registry=registry
        )
        self.database_up = Gauge(
            "nova_database_up",
            "1 while the last flush or look at Postgres worked, else 0.",
            registry=registry,
        )

        self.registry_up = Gauge(
            "nova_schema_registry_up",
            "1 unless a needed schema cannot be fetched, then 0.",
            registry=registry,
        )
        self.registry_up.set(1)
        self.registry_failures = Counter(
            "nova_schema_registry_failures",
            "Requests to the Schema Registry that failed.",
            registry=registry,
        )
        self.mixed_offsets = Gauge(
            "nova_topic_offsets_mixed",
            "1 where versions are offsets and the topic got more partitions, else 0.",
            ["topic"],
            registry=registry,
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
