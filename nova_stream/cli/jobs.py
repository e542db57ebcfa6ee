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
    from nova_stream.jobs.engine.runner import Finished
    from nova_stream.settings import Settings
    from nova_stream.storage.jobs.ledger import RunLine

app = typer.Typer(
    help="The background jobs: list, history, run, pause and undo.",
    rich_markup_mode="markdown",
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A job, as `jobs list` names it.")]
_Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]


@app.command("list")
def show_list(*, as_json: _Json = False) -> None:
    """List the jobs with their schedule, next slot and last run. Times are UTC."""
    found = asyncio.run(_list(prepare_quiet()))
    if as_json:
        _print_json({"items": found})
        return
    columns = ("job", "schedule", "next slot", "last run", "outcome", "took", "paused")
    rows = [
        (
            job["name"],
            job["schedule"],
            job["nextSlot"],
            job["lastRun"] or "never",
            job["outcome"] or ("running" if job["lastRun"] else "-"),
            _seconds(job["durationMs"]),
            "paused" if job["paused"] else "",
        )
        for job in found
    ]
    print_table(columns, rows)


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
        _print_json({"items": [_line_as_json(line) for line in lines]})
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
    from nova_stream.jobs.cleanup_old_activity import undo as put_back

    async def work() -> int:
        async with told(settings, "jobs undo", str(number)):
            return await put_back(settings, number)

    restored = asyncio.run(work())
    typer.echo(f"put back {restored}")


async def _list(settings: Settings) -> list[dict[str, Any]]:
    from nova_stream.jobs.listing import list_jobs

    return await list_jobs(settings, _all_jobs())


async def _run(
    settings: Settings, job: Job, *, dry_run: bool, at: datetime | None
) -> Finished | None:
    from nova_stream.jobs.engine.manual import run_by_hand

    about = f"{job.name}, dry run" if dry_run else job.name
    async with told(settings, "jobs run", about):
        return await run_by_hand(settings, job, dry_run=dry_run, at=at)


async def _history(settings: Settings, job: str | None, limit: int) -> list[RunLine]:
    found: list[RunLine] = []

    async def work(ledger: Ledger) -> None:
        async with ledger.store() as store:
            found.extend(await store.history(job, limit))

    await _with_ledger(settings, work)
    return found


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


def _row(line: RunLine) -> tuple[object, ...]:
    result = line.error or (line.counts and ", ".join(f"{k} {v}" for k, v in line.counts.items()))
    return (
        line.id,
        line.job,
        _time(line.slot) if line.slot else line.kind.replace("_", " "),
        line.outcome or "running",
        _time(line.started_at) if line.started_at else "-",
        _seconds(line.duration_ms),
        line.attempt,
        line.worker or "-",
        result or "",
    )


def _line_as_json(line: RunLine) -> dict[str, Any]:
    from datetime import datetime

    import msgspec

    return {
        name: _time(value) if isinstance(value, datetime) else value
        for name, value in msgspec.to_builtins(line, builtin_types=(datetime,)).items()
    }


def _time(instant: datetime) -> str:
    from nova_stream.clock import isoformat

    return isoformat(instant)


def _seconds(millis: float | None) -> str:
    return "-" if millis is None else f"{millis / 1000:.3f} s"


def _print_json(value: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())
