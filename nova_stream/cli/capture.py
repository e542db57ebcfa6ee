"""``nova-stream capture``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.groups import Group
from nova_stream.cli.start import prepare_long_run, prepare_quiet
from nova_stream.cli.trail import told

if TYPE_CHECKING:
    from nova_stream.settings import Settings

app = typer.Typer(
    cls=Group,
    help="Publish what changes in another database, which needs to know nothing of it.",
    rich_markup_mode="markdown",
)


@app.callback()
def _capture() -> None:
    """Keeps the source a word of its own while there is one only."""


@app.command("convex")
def convex(
    *,
    new_snapshot: Annotated[
        bool,
        typer.Option(
            "--new-snapshot",
            metavar="",
            help="Make the capture read the whole deployment again, then exit.",
        ),
    ] = False,
) -> int:
    """Publish the documents of the Convex deployment at NOVA_CONVEX_URL, and what changes.

    Start as many as wanted: one works, the others take over when it is gone. SIGTERM or Ctrl-C
    stops one, and loses nothing.
    """
    if new_snapshot:
        settings = prepare_quiet()
        asyncio.run(_begin_anew(settings))
        return 0
    settings = prepare_long_run("nova-stream-capture")
    from nova_stream.capture.process import run_capture

    return run_capture(settings)


async def _begin_anew(settings: Settings) -> None:
    from nova_stream.capture.client import address_and_key
    from nova_stream.capture.process import SOURCE
    from nova_stream.storage.capture.cursor import begin_anew
    from nova_stream.storage.database import open_session

    address, _ = address_and_key(settings)
    line = told(settings, "capture convex --new-snapshot", address)
    async with line, open_session(settings, "capture") as connection:
        await begin_anew(connection, SOURCE, address)
    typer.echo(f"the capture of {address} begins anew with a snapshot; one that runs does so now")
