"""``nova-stream jobs``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nova_stream.cli.groups import Group, did_you_mean
from nova_stream.cli.run_words import overview_row, run_row
from nova_stream.cli.start import on_database, prepare_quiet
from nova_stream.cli.tables import Json, Limit, print_json, print_list
from nova_stream.cli.times import From, To, open_range
from nova_stream.cli.times import instant as parse_instant
from nova_stream.cli.trail import told
from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from nova_stream.jobs.engine.job import Job
    from nova_stream.jobs.engine.ledger import Ledger
    from nova_stream.jobs.engine.runner import RunEnd
    from nova_stream.settings import Settings
    from nova_stream.storage.database import Connection
    from nova_stream.storage.jobs.rows import JobOverview

app = typer.Typer(
    cls=Group,
    help="The background jobs: list, history, run, pause and undo.",
    rich_markup_mode="markdown",
)

_Outcome = Literal[
    "ok",
    "failed",
    "timed_out",
    "late",
    "skipped_overlap",
    "skipped_paused",
    "missed",
    "manual",
    "dry_run",
]
#: ``storage.jobs.rows.How`` and ``Ended``, which --help must not wait for.
_How = Literal["scheduled", "caught_up", "by_hand", "dry_run"]
_Ended = Literal["went_well", "went_wrong", "skipped", "missed", "running"]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="A job, as `jobs list` names it.")]


@app.command("list")
def show_list(*, as_json: Json = False) -> None:
    """List the jobs: schedule, next run, and what the last run did. Times are UTC."""
    settings = prepare_quiet()
    found = on_database(settings, "jobs", partial(_list, settings))
    columns = (
        "job",
        "schedule",
        "state",
        "next run",
        "last run",
        "how",
        "ended",
        "took",
        "what it did",
    )
    print_list(found, columns, overview_row, as_json=as_json, none="no jobs", more=False)


@app.command("run")
def run(
    name: _Name,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Run all of it, then roll it back.")
    ] = False,
    at: Annotated[
        str | None, typer.Option(metavar="ISO_TIME", help="The time that the job takes as now.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", metavar="", help="Do not ask about a time in the future.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Run a job here and now, also while it is paused; no slot is used up.

    The last line of the answer is the job's result as JSON. Exit status 1 when the job failed, or
    its result has the status `error`. With `--at` in the future it asks first: what is not old yet
    would be deleted, archived or failed as old.
    """
    del as_json  # it is JSON in any case
    settings = prepare_quiet()
    job = _job(name)
    instant = None if at is None else parse_instant("--at", at)
    if instant is not None and not dry_run and not yes:
        _ask_about(job, instant)
    finished = asyncio.run(_run(settings, job, dry_run=dry_run, as_of=instant))
    if finished is None:
        typer.echo("error: another worker took this run; see: nova-stream jobs history", err=True)
        return 1
    ended = finished.ended
    if not finished.recorded:
        typer.echo("warning: Postgres is unavailable, so no history has this run", err=True)
    if ended.result is None:
        typer.echo(f"error: {job.name} {ended.outcome}: {ended.error}", err=True)
        return 1
    typer.echo(ended.result.decode())
    return 1 if _is_error(ended.result) else 0


@app.command("history")
def history(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this job.")] = None,
    *,
    start: From = None,
    end: To = None,
    how: Annotated[_How | None, typer.Option(help="Only runs that were started so.")] = None,
    ended: Annotated[
        _Ended | None, typer.Option(help="Only runs that ended so; `running`: not yet.")
    ] = None,
    outcome: Annotated[
        _Outcome | None, typer.Option(help="Only runs with this outcome in the ledger.")
    ] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List runs and slots without a run by when they were due, the newest first.

    `--json` has all that is known of each. Times are UTC.
    """
    settings = prepare_quiet()
    from nova_stream.clock import system_clock
    from nova_stream.storage.jobs.read import runs

    job = None if name is None else _job(name).name
    span = open_range(start, end, system_clock())
    read = partial(runs, job=job, limit=limit, span=span, how=how, ended=ended, outcome=outcome)
    page = on_database(settings, "jobs", read)
    columns = ("run", "job", "due", "how", "ended", "started", "took", "in Postgres", "what it did")
    more = page.next is not None
    print_list(page.rows, columns, run_row, as_json=as_json, none="no runs", more=more)


@app.command("pause")
def pause(
    name: _Name,
    reason: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The reason, shown wherever the job is shown as paused."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Run no more slots of a job until it is resumed; the ledger notes each as skipped."""
    settings, job = prepare_quiet(), _job(name).name
    asyncio.run(_on_ledger(settings, "pause", job, lambda ledger: ledger.pause(job, reason)))
    if as_json:
        print_json({"name": job, "paused": True})
    else:
        typer.echo(f"{job} is paused; resume it with: nova-stream jobs resume {job}")


@app.command("resume")
def resume(name: _Name, *, as_json: Json = False) -> None:
    """Run a paused job's slots again, from the next one on."""
    settings, job = prepare_quiet(), _job(name).name
    asyncio.run(_on_ledger(settings, "resume", job, lambda ledger: ledger.resume(job)))
    if as_json:
        print_json({"name": job, "paused": False})
    else:
        typer.echo(f"{job} runs again")


@app.command("undo")
def undo(
    number: Annotated[
        int,
        typer.Argument(metavar="RUN", min=1, max=2**63 - 1, help="Its number, as in the history."),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Put back what a run took away, if its job can; later runs leave it alone for a while."""
    restored = asyncio.run(_undo(prepare_quiet(), number))
    if as_json:
        print_json({"restored": restored})
    else:
        typer.echo(f"put back {restored}")


async def _list(settings: Settings, connection: Connection) -> list[JobOverview]:
    from nova_stream.clock import system_clock
    from nova_stream.jobs.overview import job_overviews

    return await job_overviews(settings, _all_jobs(), connection, system_clock())


async def _run(
    settings: Settings, job: Job, *, dry_run: bool, as_of: datetime | None
) -> RunEnd | None:
    from nova_stream.jobs.engine.manual import run_manually

    about = f"{job.name}, dry run" if dry_run else job.name
    # What can run while Postgres is away only looks, and must be able to say so.
    async with told(settings, "jobs run", about, required=not job.without_ledger):
        return await run_manually(settings, job, dry_run=dry_run, as_of=as_of)


async def _undo(settings: Settings, number: int) -> int:
    from nova_stream.storage.database import open_session
    from nova_stream.storage.jobs.read import job_of_run

    async with told(settings, "jobs undo", str(number)):
        async with open_session(settings, "jobs") as connection:
            name = await job_of_run(connection, number)
        undoable = {job.name: job.undo for job in _all_jobs() if job.undo is not None}
        if name is None:
            raise UsageError(f"no run has the number {number}; see: nova-stream jobs history")
        if name not in undoable:
            raise UsageError(
                f"run {number} is one of {name}; only runs of {', '.join(undoable)} can be undone"
            )
        return await undoable[name](settings, number)


async def _on_ledger(
    settings: Settings, action: str, job: str, act: Callable[[Ledger], Awaitable[None]]
) -> None:
    from nova_stream.clock import system_clock
    from nova_stream.jobs.engine.ledger import Ledger

    ledger = Ledger(settings, _all_jobs(), system_clock)
    try:
        await ledger.check()
        async with told(settings, f"jobs {action}", job):
            await act(ledger)
    finally:
        ledger.close()


def _all_jobs() -> tuple[Job, ...]:
    from nova_stream.jobs.registry import JOBS

    return tuple(JOBS)


def _job(name: str) -> Job:
    jobs = {job.name: job for job in _all_jobs()}
    if name not in jobs:
        every = f"there are: {', '.join(jobs)}"
        raise UsageError(f"no job {name!r}; {did_you_mean(name, jobs, every)}")
    return jobs[name]


def _ask_about(job: Job, at: datetime) -> None:
    """Go on with a time in the future only if somebody says so. Raises UsageError."""
    from nova_stream.cli.tables import time_text
    from nova_stream.clock import system_clock

    if at <= system_clock():
        return
    what = f"--at {time_text(at)} is in the future: {job.name} takes as old what is not old yet"
    if not sys.stdin.isatty():
        raise UsageError(f"{what}. Give --yes if that is meant, or --dry-run to see what it does")
    if not typer.confirm(f"{what}. Run it?"):
        raise UsageError("not run")


def _is_error(result: bytes) -> bool:
    """Whether a job that ended well says of what it looked at that it is not well."""
    import msgspec

    return msgspec.json.decode(result, type=dict[str, Any]).get("status") == "error"
