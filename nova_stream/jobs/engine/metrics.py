"""The numbers of jobs, for Prometheus.

A job's label is ``name``: Prometheus gives every series a ``job`` of its own, the target's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class JobMetrics:
    """Metrics of the jobs that one worker runs, in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.runs = counter(
            "nova_job_runs", "Slots and runs by hand that ended, by outcome.", ["name", "outcome"]
        )
        self.seconds = histogram(
            "nova_job_seconds", "Seconds that a run took.", ["name"], buckets=_SECONDS
        )
        self.rows = counter("nova_job_rows", "Rows that runs handled.", ["name"])
        self.last_success = gauge(
            "nova_job_last_success_timestamp_seconds",
            "When the last run here ended well.",
            ["name"],
        )
        self.running = gauge("nova_job_running", "Runs under way here.", ["name"])
        self.overdue = gauge(
            "nova_job_overdue_seconds",
            "Seconds since a slot was due that nobody has run, or since a run's lease expired.",
            ["name"],
        )
        self.alerts = gauge(
            "nova_alert_open",
            "1 for each alert that is open, as nova-stream alerts list has it.",
            ["kind", "subject"],
        )
        self.ledger_up = gauge(
            "nova_job_ledger_up", "1 while the last look at the ledger worked, else 0."
        )

    def show_state(
        self, jobs: Iterable[str], overdue: Mapping[str, float], alerts: Iterable[tuple[str, str]]
    ) -> None:
        """Show how long ``jobs`` are overdue, and the open alerts as kind and subject."""
        for job in jobs:
            self.overdue.labels(job).set(overdue.get(job, 0.0))
        self.alerts.clear()
        for kind, subject in alerts:
            self.alerts.labels(kind, subject).set(1)
