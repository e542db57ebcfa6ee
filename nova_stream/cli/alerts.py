"""``nova-stream alerts``."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import print_table

if TYPE_CHECKING:
    from nova_stream.storage.jobs.alerts import AlertLine

app = typer.Typer(help="What needs attention: open alerts.", rich_markup_mode="markdown")


@app.callback()
def _alerts() -> None:
    """What needs attention: open alerts."""


@app.command("list")
def show_list(
    *,
    every: Annotated[
        bool, typer.Option("--all", metavar="", help="Closed ones too, newest first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")] = False,
) -> None:
    """List the alerts that are open. Times are UTC."""
    settings = prepare_quiet()
    from nova_stream.jobs.alerting.alerts import list_alerts

    found = asyncio.run(list_alerts(settings, ended=every))
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode({"items": [_as_json(line) for line in found]}).decode())
        return
    if not found:
        typer.echo("no alerts")
        return
    columns = ("id", "kind", "subject", "began at", "ended at", "message")
    print_table(columns, [_row(line) for line in found])


def _as_json(line: AlertLine) -> dict[str, object]:
    began, ended = _times(line)
    return {
        "id": line.id,
        "kind": line.kind,
        "subject": line.subject,
        "message": line.message,
        "value": line.value,
        "beganAt": began,
        "endedAt": ended,
    }


def _row(line: AlertLine) -> tuple[object, ...]:
    began, ended = _times(line)
    return (line.id, line.kind, line.subject, began, ended or "open", line.message)


def _times(line: AlertLine) -> tuple[str, str | None]:
    from nova_stream.clock import isoformat

    return isoformat(line.began_at), None if line.ended_at is None else isoformat(line.ended_at)
