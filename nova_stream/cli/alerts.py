"""``nova-stream alerts``."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import print_table

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.jobs.rows import Alert

#: Alerts that are shown.
_MOST = 1000

app = typer.Typer(help="What needs attention: open alerts.", rich_markup_mode="markdown")


@app.callback()
def _alerts() -> None:
    """What needs attention: open alerts."""


@app.command("list")
def show_list(
    *,
    every: Annotated[bool, typer.Option("--all", metavar="", help="Closed ones too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")] = False,
) -> None:
    """List the alerts that are open, the newest first. Times are UTC."""
    settings = prepare_quiet()
    found = asyncio.run(_find(settings, ended=every))
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode({"items": found}).decode())
        return
    if not found:
        typer.echo("no alerts")
        return
    columns = ("id", "kind", "subject", "began at", "ended at", "message")
    print_table(
        columns,
        [
            (
                alert.id,
                alert.kind,
                alert.subject,
                alert.began_at,
                alert.ended_at or "open",
                alert.message,
            )
            for alert in found
        ],
    )


async def _find(settings: Settings, *, ended: bool) -> list[Alert]:
    from nova_stream.storage.database import open_session
    from nova_stream.storage.jobs.read import alerts

    async with open_session(settings, "alerts") as connection:
        return (await alerts(connection, _MOST, is_open=None if ended else True))[0]
