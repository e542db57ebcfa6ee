"""What the operators' readers give: jobs, runs and alerts, in camelCase as ``rows`` has it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from nova_stream.storage.stats.rows import Time

_Milliseconds = Annotated[float, msgspec.Meta(description="Milliseconds.")]


class Run(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A line of the ledger: a slot, or a run that somebody asked for (``slot`` null).

    ``pending``: asked for and not begun. ``at`` is the time that the job is to believe in.
    """

    run_id: int
    job: str
    state: Literal["pending", "running", "ended"]
    outcome: Annotated[
        str | None,
        msgspec.Meta(
            description="Null until it ends; then ok, late, manual, dry_run, failed, "
            "timed_out, skipped_overlap, skipped_paused or missed."
        ),
    ]
    trigger: Literal["schedule", "manual"]
    dry_run: bool
    slot: Time | None
    scheduled_at: Time
    late: bool
    at: Time | None
    started_at: Time | None
    ended_at: Time | None
    duration_ms: _Milliseconds | None
    worker: str | None
    attempt: int
    rows: int | None
    counts: dict[str, Any] | None
    result: Annotated[
        dict[str, Any] | None,
        msgspec.Meta(description="The job's own result, once it has succeeded."),
    ]
    error: str | None


class JobOverview(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A job as operators look at it.

    ``successRate`` and ``runs`` are of the last NOVA_ALERT_RUNS runs, ``medianDurationMs`` is
    what the runs before the last one usually took: the figures that alerts go by.
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
    success_rate: Annotated[float | None, msgspec.Meta(description="Percent.")]
    runs: int
    late: Annotated[
        bool, msgspec.Meta(description="A slot has no run, or nobody holds a run any more.")
    ]


class Restored(msgspec.Struct, frozen=True):
    """How many activities were put back."""

    restored: int


class AlertRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An alert; ``endedAt`` is null while its condition holds."""

    id: int
    kind: Annotated[
        str,
        msgspec.Meta(description="success_rate, slow, table_size, health, missed or drift"),
    ]
    subject: Annotated[str, msgspec.Meta(description="A job or a table.")]
    message: str
    value: float | None
    began_at: Time
    ended_at: Time | None
    open: bool
