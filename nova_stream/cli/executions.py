"""``nova-stream executions``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.groups import Group
from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import Json, printable, time_text
from nova_stream.cli.trail import told

if TYPE_CHECKING:
    from nova_stream.jobs.archive.restore import ShownExecution
    from nova_stream.settings import Settings

app = typer.Typer(cls=Group, help="Executions, also those whose documents are archived.")


@app.callback()
def _group() -> None:
    """Executions, also those whose documents are archived."""


@app.command("show")
def show(
    execution: Annotated[str, typer.Argument(metavar="ID", help="The execution's id.")],
    *,
    as_json: Json = False,
) -> int:
    """Show an execution with its document, wherever that lies.

    Exit status 1 when there is no document any more.
    """
    shown = asyncio.run(_find(prepare_quiet(), execution))
    if as_json:
        from nova_stream.events.json_text import encode_json

        typer.echo(encode_json(_fields(shown)).decode())
    else:
        typer.echo("\n".join(_lines(shown)))
    return 1 if shown.document is None else 0


async def _find(settings: Settings, execution: str) -> ShownExecution:
    from nova_stream.jobs.archive.restore import show as find

    async with told(settings, "executions show", execution):
        return await find(settings, execution)


def _fields(shown: ShownExecution) -> dict[str, object]:
    return {
        "id": shown.id,
        "taskId": shown.task_id,
        "agent": shown.agent,
        "duration": shown.duration,
        "timestamp": time_text(shown.timestamp),
        "document": shown.document,
        "archived": shown.archived,
        "archivedAt": time_text(shown.archived_at),
        "note": shown.note,
    }


def _lines(shown: ShownExecution) -> list[str]:
    from nova_stream.events.json_text import encode_json

    where = "database"
    if shown.archived:
        where = f"{shown.archived} since {time_text(shown.archived_at)}"
    lines = [
        f"id          {printable(shown.id)}",
        f"task        {printable(shown.task_id or '-')}",
        f"agent       {printable(shown.agent or '-')}",
        f"duration    {'-' if shown.duration is None else f'{shown.duration:g} ms'}",
        f"timestamp   {time_text(shown.timestamp) or '-'}",
        f"document    {shown.note or where}",
    ]
    for name, value in (shown.document or {}).items():
        text = value if isinstance(value, str) else encode_json(value).decode()
        lines.append(f"  {printable(name)}: {printable(text)}")
    return lines
