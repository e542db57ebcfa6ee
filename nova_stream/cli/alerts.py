"""``nova-stream alerts``."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.groups import Group
from nova_stream.cli.start import on_database, prepare_quiet
from nova_stream.cli.tables import Json, Limit, print_list
from nova_stream.cli.trail import account, told
from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.jobs.rows import Alert

_LONGEST_NAME = 100

app = typer.Typer(
    cls=Group,
    help="What needs attention: open alerts, and who sees to them.",
    rich_markup_mode="markdown",
)


@app.callback()
def _alerts() -> None:
    """What needs attention: open alerts, and who sees to them."""


@app.command("list")
def show_list(
    *,
    every: Annotated[bool, typer.Option("--all", metavar="", help="Closed ones too.")] = False,
    limit: Limit = 1000,
    as_json: Json = False,
) -> None:
    """List the alerts that are open, the newest first. Times are UTC."""
    settings = prepare_quiet()
    from nova_stream.storage.jobs.read import alerts

    read = partial(alerts, limit=limit, is_open=None if every else True)
    found = on_database(settings, "alerts", read)
    columns = ("id", "kind", "subject", "began at", "ended at", "seen to by", "message")
    more = found.next is not None
    print_list(found.rows, columns, _row, as_json=as_json, none="no alerts", more=more)


@app.command("acknowledge")
def acknowledge(
    number: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="As in the list.")
    ],
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who; by default, this account.")
    ] = None,
) -> None:
    """Say that you see to an alert: others read it in the list and on the page.

    It stays open until its condition is gone. Whoever was first stays named.
    """
    settings = prepare_quiet()
    found = asyncio.run(_acknowledge(settings, number, by))
    typer.echo(f"alert {found.id} is seen to by {found.acknowledged_by}")


def _row(alert: Alert) -> tuple[object, ...]:
    ended = alert.ended_at or "open"
    who = alert.acknowledged_by or ""
    return (alert.id, alert.kind, alert.subject, alert.began_at, ended, who, alert.message)


async def _acknowledge(settings: Settings, number: int, by: str | None) -> Alert:
    from nova_stream.clock import system_clock
    from nova_stream.storage.database import open_session
    from nova_stream.storage.jobs.alerts import AlertStore

    who = (by or account()).strip()
    if not who.isprintable() or not 0 < len(who) <= _LONGEST_NAME:
        raise UsageError(f"--by is a name of at most {_LONGEST_NAME} printable letters")
    async with (
        told(settings, "alerts acknowledge", str(number)),
        open_session(settings, "alerts") as connection,
    ):
        found = await AlertStore(connection).acknowledge(number, who, system_clock())
        if found is None:
            raise UsageError(f"there is no alert {number}; see: nova-stream alerts list --all")
        return found
