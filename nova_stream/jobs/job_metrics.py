"""The numbers of jobs, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class JobMetrics:
    """Metrics of the jobs that one worker runs, in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter(
            "nova_job_runs", "Slots and runs by hand that ended, by outcome", ["job", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "nova_job_seconds", "Time of a run", ["job"], buckets=_SECONDS, registry=registry
        )
        self.rows = Counter("nova_job_rows", "Rows that runs handled", ["job"], registry=registry)
        self.last_success = Gauge(
            "nova_job_last_success_timestamp_seconds", "When the last run ended well", ["job"],
            registry=registry,
        )  # fmt: skip
        self.running = Gauge("nova_job_running", "Runs under way", ["job"], registry=registry)
        self.ledger_up = Gauge(
            "nova_job_ledger_up", "1 while the last look at the ledger worked", registry=registry
        )
