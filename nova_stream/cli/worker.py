"""``nova-stream worker``."""

from __future__ import annotations

from nova_stream.cli.start import prepare_long_run


def worker() -> int:
    """Process the stream and run the jobs.

    Start as many as wanted, on one machine or many: they share the work. SIGTERM or Ctrl-C stops
    one, and loses nothing.
    """
    settings = prepare_long_run("nova-stream-worker")
    from nova_stream.jobs.registry import JOBS
    from nova_stream.jobs.timers import job_timers
    from nova_stream.stream.metrics import Metrics
    from nova_stream.stream.process import run_worker

    metrics = Metrics()
    return run_worker(settings, job_timers(settings, JOBS, metrics.registry), metrics)
