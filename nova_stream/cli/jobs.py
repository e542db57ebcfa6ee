"""``nova-stream jobs``."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import print_table
from nova_stream.cli.trail_line import told
from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from nova_stream.jobs.engine.job import Job
    from nova_stream.jobs.engine.ledger import Ledger
    from nova_stream.jobs.engine.runner import RunEnd
    from nova_stream.settings import Settings
    from nova_stream.storage.jobs.rows import JobOverview, Run

app = typer.Typer(
    help="The background jobs: list, history, run, pause and undo.",
    rich_markup_mode="markdown",
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A job, as `jobs list` names it.")]
_Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]


@app.command("list")
def show_list(*, as_json: _Json = False) -> None:
    """List the jobs with their schedule, next and last run. Times are UTC."""
    found = asyncio.run(_list(prepare_quiet()))
    if as_json:
        _print_json({"items": found})
        return
    columns = ("job", "schedule", "next run", "last run", "outcome", "took", "paused")
    print_table(columns, [_overview_row(job) for job in found])


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
) -> int:
    """Run a job here and now, also while it is paused; no slot is used up.

    The last line of the answer is the job's result as JSON. Exit status 1 when the job failed.
    """
    settings = prepare_quiet()
    job = _job(name)
    finished = asyncio.run(_run(settings, job, dry_run=dry_run, at=_instant(at)))
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
    return 0


@app.command("history")
def history(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this job.")] = None,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="N", help="At most this many.")
    ] = 50,
    as_json: _Json = False,
) -> None:
    """List runs and slots without a run, the newest first. Times are UTC."""
    settings = prepare_quiet()
    job = None if name is None else _job(name).name
    lines = asyncio.run(_history(settings, job, limit))
    if as_json:
        _print_json({"items": lines})
        return
    if not lines:
        typer.echo("no runs")
        return
    columns = ("run", "job", "slot", "outcome", "started", "took", "attempt", "worker", "result")
    print_table(columns, [_row(line) for line in lines])


@app.command("pause")
def pause(
    name: _Name,
    reason: Annotated[
        str | None, typer.Option(help="The reason, shown wherever the job is shown as paused.")
    ] = None,
) -> None:
    """Run no more slots of a job until it is resumed; the ledger notes each as skipped."""
    settings = prepare_quiet()
    job = _job(name)

    async def work(ledger: Ledger) -> None:
        async with told(settings, "jobs pause", job.name):
            await ledger.pause(job.name, reason)

    asyncio.run(_with_ledger(settings, work))
    typer.echo(f"{job.name} is paused; resume it with: nova-stream jobs resume {job.name}")


@app.command("resume")
def resume(name: _Name) -> None:
    """Run a paused job's slots again, from the next one on."""
    settings = prepare_quiet()
    job = _job(name)

    async def work(ledger: Ledger) -> None:
        async with told(settings, "jobs resume", job.name):
            await ledger.resume(job.name)

    asyncio.run(_with_ledger(settings, work))
    typer.echo(f"{job.name} runs again")


@app.command("undo")
def undo(
    number: Annotated[
        int,
        typer.Argument(metavar="RUN", min=1, max=2**63 - 1, help="Its number, as in the history."),
    ],
) -> None:
    """Put back what a run of cleanupOldActivity deleted; later runs leave it alone for a while."""
    settings = prepare_quiet()

    async def work() -> int:
        async with told(settings, "jobs undo", str(number)):
            return await _undo(settings, number)

    restored = asyncio.run(work())
    typer.echo(f"put back {restored}")


async def _list(settings: Settings) -> list[JobOverview]:
    from nova_stream.clock import system_clock
    from nova_stream.jobs.overview import job_overviews
    from nova_stream.storage.database import open_session

    async with open_session(settings, "jobs") as connection:
        return await job_overviews(settings, _all_jobs(), connection, system_clock())


async def _run(
    settings: Settings, job: Job, *, dry_run: bool, at: datetime | None
) -> RunEnd | None:
    from nova_stream.jobs.engine.manual import run_manually

    about = f"{job.name}, dry run" if dry_run else job.name
    # What can run while Postgres is away only looks, and must be able to say so.
    async with told(settings, "jobs run", about, required=not job.without_ledger):
        return await run_manually(settings, job, dry_run=dry_run, at=at)


async def _history(settings: Settings, job: str | None, limit: int) -> list[Run]:
    from nova_stream.storage.database import open_session
    from nova_stream.storage.jobs.read import newest_runs, runs

    async with open_session(settings, "jobs") as connection:
        if job is None:
            return await newest_runs(connection, limit)
        return (await runs(connection, job, limit))[0]


async def _undo(settings: Settings, number: int) -> int:
    """Have the one job that can be undone do it: ids are unique among all runs."""
    (undo,) = (job.undo for job in _all_jobs() if job.undo is not None)
    return await undo(settings, number)


async def _with_ledger(settings: Settings, work: Any) -> None:
    from nova_stream.clock import system_clock
    from nova_stream.jobs.engine.ledger import Ledger

    ledger = Ledger(settings, _all_jobs(), system_clock)
    try:
        await ledger.check()
        await work(ledger)
    finally:
        ledger.close()


def _all_jobs() -> tuple[Job, ...]:
    from nova_stream.jobs.registry import JOBS

    return tuple(JOBS)


def _job(name: str) -> Job:
    jobs = _all_jobs()
    for job in jobs:
        if job.name == name:
            return job
    raise UsageError(f"no job {name!r}; there are: {', '.join(job.name for job in jobs)}")


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    from datetime import UTC, datetime

    from nova_stream.jobs.engine.job import check_believed

    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--at {text!r} is not a time; give ISO 8601, such as 2026-02-20T12:00:00Z"
        ) from None
    try:
        instant = instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
        check_believed(instant)
    except (ValueError, OverflowError):  # another offset may lead out of all years
        raise UsageError(f"--at {text!r}: a time from 1970 to 9998 is allowed") from None
    return instant


def _overview_row(job: JobOverview) -> tuple[object, ...]:
    run = job.running or job.last_run
    return (
        job.name,
        job.schedule,
        job.next_run,
        (run.started_at or run.scheduled_at) if run else "never",
        (run.outcome or run.state) if run else "-",
        _seconds(run.duration_ms if run else None),
        "paused" if job.paused else "",
    )


def _row(run: Run) -> tuple[object, ...]:
    result = run.error or (run.counts and ", ".join(f"{k} {v}" for k, v in run.counts.items()))
    asked = "dry run" if run.dry_run else "manual"
    return (
        run.run_id,
        run.job,
        run.slot or asked,
        run.outcome or run.state,
        run.started_at or "-",
        _seconds(run.duration_ms),
        run.attempt,
        run.worker or "-",
        result or "",
    )


def _seconds(millis: float | None) -> str:
    return "-" if millis is None else f"{millis / 1000:.3f} s"


def _print_json(value: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())
