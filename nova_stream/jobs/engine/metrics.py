"""The numbers of jobs, for Prometheus.

A job's label is ``name``: Prometheus gives every series a ``job`` of its own, the target's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class JobMetrics:
    """Metrics of the jobs that one worker runs, in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter(
            "nova_job_runs",
            "Slots and runs by hand that ended, by outcome.",
            ["name", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "nova_job_seconds",
            "Seconds that a run took.",
            ["name"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.rows = Counter("nova_job_rows", "Rows that runs handled.", ["name"], registry=registry)
        self.last_success = Gauge(
            "nova_job_last_success_timestamp_seconds",
            "When the last run here ended well.",
            ["name"],
            registry=registry,
        )
        self.running = Gauge(
            "nova_job_running", "Runs under way here.", ["name"], registry=registry
        )
        self.overdue = Gauge(
            "nova_job_overdue_seconds",
            "Seconds since a slot was due that nobody has run, or since a run's lease expired.",
            ["name"],
            registry=registry,
        )
        self.alerts = Gauge(
            "nova_alert_open",
            "1 for each alert that is open, as nova-stream alerts list has it.",
            ["kind", "subject"],
            registry=registry,
        )
        self.ledger_up = Gauge(
            "nova_job_ledger_up",
            "1 while the last look at the ledger worked, else 0.",
            registry=registry,
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
