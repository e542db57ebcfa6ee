"""What the operators' readers give: jobs, runs, alerts; camelCase as ``stats/rows.py`` has it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import asyncpg
import msgspec

from nova_stream.storage.stats.rows import Time, times_as_text

_Milliseconds = Annotated[float, msgspec.Meta(description="Milliseconds.")]


class Outcome(StrEnum):
    """How a slot or a run ends; there is nothing else."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    LATE = "late"
    SKIPPED_OVERLAP = "skipped_overlap"
    SKIPPED_PAUSED = "skipped_paused"
    MISSED = "missed"
    MANUAL = "manual"
    DRY_RUN = "dry_run"


class How(StrEnum):
    """How a run was started; of a slot that nobody ran, how it would have been.

    ``caught_up``: by the schedule, later than a slot may be.
    """

    SCHEDULED = "scheduled"
    CAUGHT_UP = "caught_up"
    BY_HAND = "by_hand"
    DRY_RUN = "dry_run"


class Ended(StrEnum):
    """How a slot or a run ended, however it was started; ``running`` until it has."""

    WENT_WELL = "went_well"
    WENT_WRONG = "went_wrong"
    SKIPPED = "skipped"
    MISSED = "missed"
    RUNNING = "running"


class AlertKind(StrEnum):
    """What an alert is about; its subject is a job, a table or a topic."""

    SUCCESS_RATE = "success_rate"
    SLOW = "slow"
    TABLE_SIZE = "table_size"
    GROWTH = "growth"
    HEALTH = "health"
    MISSED = "missed"
    DRIFT = "drift"
    SOURCE = "source"
    DEAD_LETTERS = "dead_letters"


class Run(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A line of the ledger: a slot, or a run that somebody asked for (``slot`` null).

    ``pending``: asked for and not begun. ``at`` is the time that the job is to believe in.
    """

    run_id: int
    job: str
    state: Literal["pending", "running", "ended"]
    how: Annotated[
        How,
        msgspec.Meta(description="How it was started; `caught_up`: late, by the schedule."),
    ]
    ended: Annotated[
        Ended,
        msgspec.Meta(description="How it ended, however it was started; `running` until then."),
    ]
    outcome: Annotated[
        Outcome | None,
        msgspec.Meta(
            description="As the ledger has it, `how` and `ended` in one; null until then."
        ),
    ]
    trigger: Literal["schedule", "manual"]
    dry_run: bool
    slot: Time | None
    scheduled_at: Time
    late: bool
    at: Time | None
    as_of: Annotated[
        Time | None,
        msgspec.Meta(
            description="`at` of a run by hand that was told to work as of another time than "
            "its own; null of all others."
        ),
    ]
    started_at: Time | None
    ended_at: Time | None
    duration_ms: _Milliseconds | None
    query_ms: Annotated[
        float | None,
        msgspec.Meta(
            description="Milliseconds that its statements in Postgres took, of all attempts "
            "together; those of several sessions at one time all count."
        ),
    ]
    worker: str | None
    attempt: int
    rows: int | None
    counts: dict[str, Any] | None
    result: Annotated[
        dict[str, Any] | None,
        msgspec.Meta(description="The job's own result, once it has succeeded."),
    ]
    error: str | None
    did: Annotated[
        str | None,
        msgspec.Meta(
            description="What it did, or why it did nothing, as a sentence; "
            "null until it ends, and where `error` says what went wrong."
        ),
    ]


class Ends(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How many runs ended in each way."""

    went_well: int = 0
    went_wrong: int = 0
    skipped: int = 0
    missed: int = 0
    running: int = 0


class JobSummary(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a job did in a range of time, by when it was due.

    The runs are counted apart by how they were started, and all together in ``good`` to
    ``unended``.
    """

    job: str
    scheduled: Ends
    caught_up: Ends
    by_hand: Ends
    dry_run: Ends
    good: Annotated[
        int, msgspec.Meta(description="Runs that ended well: `ok`, `late` and `manual`.")
    ]
    bad: Annotated[int, msgspec.Meta(description="`failed`, `timed_out` and `missed`.")]
    skipped: int
    dry_runs: int
    unended: Annotated[int, msgspec.Meta(description="Runs that have not ended.")]
    missing: Annotated[
        int,
        msgspec.Meta(description="Slots of the last two days that are over and have no line."),
    ]
    counts: Annotated[
        dict[str, int],
        msgspec.Meta(description="The whole numbers of the results of `good` runs, summed up."),
    ]
    did: Annotated[
        str | None,
        msgspec.Meta(
            description="What the `good` runs did together, as a sentence; where there is none "
            "for several, what the last one did."
        ),
    ]
    last_run: Annotated[Run | None, msgspec.Meta(description="The newest run that has begun.")]


class JobOverview(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A job as operators look at it.

    ``successRate`` and ``runs`` are of the last NOVA_ALERT_RUNS runs, ``medianDurationMs`` and
    ``medianQueryMs`` are what the runs before the last one usually took, and their statements in
    Postgres: the figures that alerts go by, and what they are compared with.
    """

    name: str
    description: str
    schedule: Annotated[str, msgspec.Meta(description="Five cron fields, in UTC.")]
    paused: bool
    paused_at: Time | None
    paused_reason: str | None
    next_run: Annotated[
        str,
        msgspec.Meta(
            description="When the next slot is due; a paused job skips it.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    last_run: Run | None
    running: Run | None
    last_success_at: Time | None
    median_duration_ms: _Milliseconds | None
    median_query_ms: _Milliseconds | None
    success_rate: Annotated[float | None, msgspec.Meta(description="Percent.")]
    runs: int
    undoable: Annotated[bool, msgspec.Meta(description="Its runs can be undone.")]
    late: Annotated[
        bool, msgspec.Meta(description="A slot has no run, or nobody holds a run any more.")
    ]


class Restored(msgspec.Struct, frozen=True):
    """How many rows were put back."""

    restored: int


class Alert(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An alert; ``endedAt`` is null while its condition holds."""

    id: int
    kind: AlertKind
    subject: Annotated[str, msgspec.Meta(description="A job, a table or a topic.")]
    message: str
    value: float | None
    began_at: Time
    ended_at: Time | None
    open: bool
    acknowledged_at: Annotated[
        Time | None, msgspec.Meta(description="When somebody said that they see to it.")
    ]
    acknowledged_by: str | None


#: What ``alert_of`` reads.
ALERT_COLUMNS = (
    "id, kind, subject, message, value, began_at, ended_at, acknowledged_at, acknowledged_by"
)


def alert_of(row: asyncpg.Record) -> Alert:
    """An alert from a row with ``ALERT_COLUMNS``."""
    fields = times_as_text({name: row[name] for name in ALERT_COLUMNS.split(", ")})
    fields["kind"] = AlertKind(fields["kind"])
    return Alert(**fields, open=fields["ended_at"] is None)
