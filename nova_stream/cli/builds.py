"""``nova-stream builds``."""

from __future__ import annotations

import shlex
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from nova_stream.cli.lists import ALL_BYTES, first_rows
from nova_stream.cli.start import on_database, prepare_quiet
from nova_stream.cli.tables import (
    Json,
    Limit,
    duration_text,
    print_fields,
    print_json,
    print_list,
    print_table,
    printable,
)
from nova_stream.cli.times import From, To, open_range
from nova_stream.errors import NovaStreamError, UsageError

if TYPE_CHECKING:
    from nova_stream.storage.database import Connection
    from nova_stream.storage.lists.rows import ListedExecution
    from nova_stream.storage.stats.rows import Build, BuildWithTasks, Task

#: More than all rows have.
_ROWS = 1_000_000
#: Failed tasks whose last execution is looked at.
_EXPLAINED = 20
_MILLISECONDS = 1000

#: ``events.change.BuildStatus``, which --help must not wait for.
_State = Literal["pending", "running", "completed", "failed"]


class _BuildWithErrors(NamedTuple):
    """A build, and the newest execution of its failed tasks, by the tasks' ids."""

    build: BuildWithTasks
    last: dict[str, ListedExecution]


def builds(
    id_or_words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Only this build, with its tasks; or words of its name."),
    ] = None,
    *,
    status: Annotated[_State | None, typer.Option(help="Only builds of this status.")] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only builds with tasks of this agent.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="TEXT", help="Only builds with this text in id or name."),
    ] = None,
    start: From = None,
    to: To = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List builds, newest start first, or show one with its tasks and why it failed.

    `--from` and `--to` are of the start. Times are UTC.
    """
    from nova_stream.clock import system_clock

    filters = {"status": status, "agent": agent, "q": text}
    given = {name: value for name, value in filters.items() if value}
    build = " ".join(id_or_words) if id_or_words else None
    if build is not None and (given or start or to):
        raise UsageError(
            "an ID or a name chooses one build already: leave out the options that choose builds"
        )
    settings = prepare_quiet()
    if build is not None:
        _show(on_database(settings, "builds", partial(_one, id_=build)), as_json=as_json)
        return
    from nova_stream.storage.lists.catalogue import BUILDS
    from nova_stream.storage.lists.statements import Question

    times = open_range(start, to, system_clock())
    question = Question(BUILDS, given, times, documents=True)
    rows, more = on_database(
        settings, "builds", partial(first_rows, question=question, limit=limit)
    )
    columns = ("id", "status", "started at", "took", "name", "error")
    print_list(rows, columns, _row, as_json=as_json, none="no builds", more=more)


async def _one(connection: Connection, id_: str) -> _BuildWithErrors:
    from nova_stream.storage.lists.catalogue import EXECUTIONS
    from nova_stream.storage.lists.read import read_page
    from nova_stream.storage.lists.statements import Question
    from nova_stream.storage.stats.read import Bounds, build

    bounds = Bounds(_ROWS, ALL_BYTES)
    found = await build(connection, id_, bounds)
    if found is None:
        found = await build(connection, await _id_of(connection, id_), bounds)
    if found is None:
        raise NovaStreamError(f"the build {id_!r} was deleted just now")
    last = {}
    for task in [task for task in found[0].tasks if task.status == "failed"][:_EXPLAINED]:
        asked = Question(EXECUTIONS, {"task": task.id}, documents=True)
        page = await read_page(connection, asked, Bounds(1, ALL_BYTES))
        if page.rows:
            last[task.id] = page.rows[0]
    return _BuildWithErrors(found[0], last)


async def _id_of(connection: Connection, text: str) -> str:
    """The id of the one build with ``text`` in it or in its name. Raises NovaStreamError where
    there is none, or several.
    """
    from nova_stream.storage.lists.catalogue import BUILDS
    from nova_stream.storage.lists.statements import Question

    rows: list[Build] = []
    if text:
        rows, _ = await first_rows(connection, Question(BUILDS, {"q": text}), 2)
    if not rows:
        raise NovaStreamError(
            f"no build has {text!r} as its id or in its name; nova-stream builds lists them"
        )
    if len(rows) > 1:
        command = shlex.join(["nova-stream", "builds", "--text", text])
        raise NovaStreamError(f"several builds have {text!r} in id or name; see: {command}")
    return rows[0].id


def _show(found: _BuildWithErrors, *, as_json: bool) -> None:
    build, last = found
    if as_json:
        print_json({"build": build, "lastExecutions": last})
        return
    print_fields(
        [
            ("id", build.id),
            ("name", build.prd_name or "-"),
            ("prd", build.prd_id or "-"),
            ("status", build.status),
            ("started at", build.started_at or "-"),
            ("ended at", build.completed_at or "-"),
            ("took", _took(build)),
            ("error", build.error or "-"),
        ]
    )
    typer.echo()
    if not build.tasks:
        typer.echo("no tasks")
        return
    columns = ("task", "status", "agent", "attempts", "title")
    print_table(columns, [_task(task) for task in build.tasks])
    failed = [task for task in build.tasks if task.status == "failed"]
    if failed:
        typer.echo("\nfailed tasks:")
    for task in failed:
        typer.echo(
            f"  {printable(task.id)} ({printable(task.agent)}): {_why(task, last.get(task.id))}"
        )


def _why(task: Task, execution: ListedExecution | None) -> str:
    """What is known of a failed task's failure, and where there is more."""
    said = printable(task.error or "no error is given")
    if execution is None:
        return said
    error = execution.error if isinstance(execution.error, str) else None
    more = f"; {printable(error)}" if error and error != task.error else ""
    return f"{said}{more} (nova-stream executions show {printable(execution.id)})"


def _row(build: Build) -> tuple[object, ...]:
    return (
        build.id,
        build.status,
        build.started_at or "-",
        _took(build),
        build.prd_name or "-",
        build.error or "",
    )


def _task(task: Task) -> tuple[object, ...]:
    attempts = "-" if task.attempts is None else f"{task.attempts:g}"
    return (task.id, task.status, task.agent, attempts, task.title or "-")


def _took(build: Build) -> str:
    if build.started_at is None or build.completed_at is None:
        return "-"
    took = datetime.fromisoformat(build.completed_at) - datetime.fromisoformat(build.started_at)
    return duration_text(took.total_seconds() * _MILLISECONDS)
