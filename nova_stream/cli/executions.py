"""``nova-stream executions``."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nova_stream.cli.groups import Group
from nova_stream.cli.lists import first_rows
from nova_stream.cli.start import on_database, prepare_quiet
from nova_stream.cli.tables import Json, Limit, duration_text, print_list, printable, time_text
from nova_stream.cli.times import From, To, open_range
from nova_stream.cli.trail import told
from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from nova_stream.jobs.archive.restore import ShownExecution
    from nova_stream.settings import Settings
    from nova_stream.storage.lists.rows import ListedExecution

#: ``storage.lists.rows.ExecutionStatus``, which --help must not wait for.
_State = Literal["succeeded", "failed", "archived"]
#: What a list of executions shows, and which of it are numbers.
COLUMNS = ("execution", "took", "at", "status", "agent", "task")
RIGHT = {"took"}
_LENGTH = re.compile(r"([0-9]{1,12})(ms|s|m|h)?")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_NONE_FITS = "no execution fits these options"

app = typer.Typer(cls=Group, help="Executions, also those whose documents are archived.")


@app.callback()
def _group() -> None:
    """Executions, also those whose documents are archived."""


@app.command("list")
def list_(
    *,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of this agent.")
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this task.")] = None,
    build: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those of this build.")
    ] = None,
    status: Annotated[_State | None, typer.Option(help="Only those of which this came.")] = None,
    min_duration: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only those that took so long or longer: milliseconds, or 5s, 2m, 1h.",
        ),
    ] = None,
    order: Annotated[
        Literal["newest", "longest"],
        typer.Option(help="What comes first; longest needs --agent and --from."),
    ] = "newest",
    start: From = None,
    to: To = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List executions, newest first, or of an agent those that took longest.

    Times are UTC. Prompt, response and error of one: executions show ID.
    """
    from nova_stream.clock import system_clock
    from nova_stream.storage.lists.catalogue import EXECUTIONS
    from nova_stream.storage.lists.statements import Question

    least = None if min_duration is None else str(_milliseconds(min_duration))
    if order == "longest" and (agent is None or start is None):
        raise UsageError("--order longest needs --agent and --from")
    filters = {
        "agent": agent,
        "task": task,
        "build": build,
        "status": status,
        "minDuration": least,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    settings = prepare_quiet()
    question = Question(EXECUTIONS, given, open_range(start, to, system_clock()))
    read = partial(first_rows, question=question, limit=limit, longest=order == "longest")
    rows, more = on_database(settings, "executions", read)
    print_list(
        rows,
        COLUMNS,
        execution_row,
        as_json=as_json,
        none="no executions" if given == {} and start is None and to is None else _NONE_FITS,
        more=more,
        right=RIGHT,
    )


def execution_row(row: ListedExecution) -> tuple[object, ...]:
    """What ``COLUMNS`` show of an execution."""
    return (
        row.id,
        duration_text(row.duration),
        row.timestamp or "-",
        row.status,
        row.agent or "-",
        row.task_id or "-",
    )


def _milliseconds(text: str) -> int:
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--min-duration {text!r}: give milliseconds as a whole number, or 500ms, 5s, 2m, 1h"
        )
    return int(found[1]) * _UNITS[found[2] or "ms"]


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
