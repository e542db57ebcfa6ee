"""Commands that run until they are stopped: ``worker``, ``api``, ``dev`` and ``demo``."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nova_stream.cli.start import prepare, prepare_long_run


def api(
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port; 0 = any free one.")
    ] = 8600,
    tls_cert: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Chain of certificates, PEM; else NOVA_API_TLS_CERT."),
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its key, PEM; else NOVA_API_TLS_KEY.")
    ] = None,
) -> None:
    """Serve the HTTP API and the dashboard, over TLS where there is a certificate.

    Without a token (NOVA_API_TOKEN, NOVA_API_TOKENS, `nova-stream tokens create`) it serves
    127.0.0.1 only.
    """
    settings = prepare_long_run("nova-stream-api")
    from nova_stream.api.server import serve

    given = {"api_tls_cert": tls_cert, "api_tls_key": tls_key}
    settings = settings.model_copy(update={name: v for name, v in given.items() if v is not None})
    settings.check_tls()
    serve(settings, host, port)


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


def dev(
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="DIR", help="The data folder.")
    ] = Path(".nova-stream"),
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="PORT",
            help="Port of the API; without it the first free one from 8600 on.",
        ),
    ] = None,
    *,
    no_demo: Annotated[
        bool, typer.Option("--no-demo", metavar="", help="No demo traffic.")
    ] = False,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", metavar="", help="Delete the data at the end.")
    ] = False,
    rate: Annotated[
        float,
        typer.Option(min=0.001, max=100_000, metavar="EVENTS_PER_S", help="Demo events a second."),
    ] = 20.0,
) -> int:
    """Everything on this machine, with nothing else installed.

    A real Kafka, a real Postgres, worker, API with dashboard, and demo traffic. Ctrl-C stops
    everything. What NOVA_KAFKA_BROKERS or NOVA_DATABASE_URL names is used instead of started.
    """
    from nova_stream.cli.dev_run import dev as run_dev

    return run_dev(data_dir, port, demo=not no_demo, ephemeral=ephemeral, rate=rate)


def demo(
    rate: Annotated[
        float, typer.Option(min=0.001, max=100_000, metavar="EVENTS_PER_S", help="Events a second.")
    ] = 20.0,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="The same seed gives the same story; random by default."),
    ] = None,
) -> None:
    """Publish a believable day of 21 agents until it is stopped, after the two days before it.

    The jobs of last night are run once, as of their slots.
    """
    settings = prepare()
    from nova_stream.clock import system_clock
    from nova_stream.demo.demo import run_demo
    from nova_stream.demo.nightly import run_last_night
    from nova_stream.jobs.registry import JOBS

    chosen = secrets.randbits(32) if seed is None else seed
    last_night = partial(run_last_night, settings, JOBS, system_clock)
    asyncio.run(run_demo(settings, rate, seed=chosen, past=True, after_past=last_night))
