"""How commands tell of a run of a job, in the words that the pages have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_stream.cli.tables import seconds_text

if TYPE_CHECKING:
    from nova_stream.storage.jobs.rows import JobOverview, Run


def words(value: str) -> str:
    """``went_well`` as words."""
    return value.replace("_", " ")


def how_it_was_started(run: Run) -> str:
    """How a run was started: late by the schedule, when it had been due; by hand, as of when where
    somebody said so.
    """
    how = words(run.how)
    if run.how == "caught_up":
        return f"{how}, due {run.scheduled_at}"
    return f"{how}, as of {run.as_of}" if run.as_of else how


def how_it_ended(run: Run) -> str:
    """How a run ended; of one that no worker has begun, that."""
    return "not begun" if run.state == "pending" else words(run.ended)


def what_it_did(run: Run) -> str:
    """What went wrong, or else what the run did; empty while that is not known."""
    return run.error or run.did or ""


def overview_row(job: JobOverview) -> tuple[object, ...]:
    """A job, as a row of a table."""
    run = job.running or job.last_run
    return (
        job.name,
        job.schedule,
        "paused" if job.paused else "late" if job.late else "-",
        job.next_run,
        (run.started_at or run.scheduled_at) if run else "never",
        how_it_was_started(run) if run else "-",
        how_it_ended(run) if run else "-",
        seconds_text(run.duration_ms if run else None),
        what_it_did(run) if run else "",
    )


def run_row(run: Run) -> tuple[object, ...]:
    """A run, as a row of a table."""
    return (
        run.run_id,
        run.job,
        run.scheduled_at,
        how_it_was_started(run),
        how_it_ended(run),
        run.started_at or "-",
        seconds_text(run.duration_ms),
        seconds_text(run.query_ms),
        what_it_did(run),
    )
