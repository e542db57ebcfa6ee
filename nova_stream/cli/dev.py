"""``nova-stream dev``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
