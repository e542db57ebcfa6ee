"""``nova-stream demo``: the traffic of ``nova-stream dev``."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

import typer

from nova_stream.cli.start import prepare


def demo(
    rate: Annotated[
        float, typer.Option(min=0.001, max=100_000, metavar="EVENTS_PER_S", help="Events a second.")
    ] = 20.0,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="The same seed gives the same story; random by default."),
    ] = None,
) -> None:
    """Publish a believable day of 21 agents until it is stopped."""
    settings = prepare()
    from nova_stream.demo.demo import run_demo

    asyncio.run(run_demo(settings, rate, seed=secrets.randbits(32) if seed is None else seed))
