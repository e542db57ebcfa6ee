"""What the jobs keep: the ledger, alerts, archives, who is inactive."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    Interval,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, VIEW, ZERO, Base


class JobSetting(Base):
    """A job as the workers run it; its slots can be computed from it in SQL (``job_slots``)."""

    __tablename__ = "job_settings"
    job: Mapped[str] = mapped_column(Text, primary_key=True)
    schedule: Mapped[str] = mapped_column(Text)
    minutes: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    hours: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    days: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    months: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    weekdays: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    either_day: Mapped[bool] = mapped_column(Boolean)
    start_offset: Mapped[float] = mapped_column(Double)
    late_after: Mapped[float] = mapped_column(Double)
    missed: Mapped[str] = mapped_column(Text)
    timeout: Mapped[float] = mapped_column(Double)
    attempts: Mapped[int] = mapped_column(Integer)
    active: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(TIME)
    expected_from: Mapped[datetime] = mapped_column(TIME)
    accounted_to: Mapped[datetime] = mapped_column(TIME)
    paused_at: Mapped[datetime | None] = mapped_column(TIME)
    paused_reason: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        CheckConstraint("missed in ('latest', 'skip')", name="job_settings_missed_known"),
    )


class JobRun(Base):
    """A line of the ledger: a slot, or a run by hand. ``outcome`` is null while it runs."""

    __tablename__ = "job_runs"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    job: Mapped[str] = mapped_column(Text)
    slot: Mapped[datetime | None] = mapped_column(TIME)
    kind: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    scheduled_at: Mapped[datetime] = mapped_column(TIME)
    late: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    at: Mapped[datetime | None] = mapped_column(TIME)
    started_at: Mapped[datetime | None] = mapped_column(TIME)
    ended_at: Mapped[datetime | None] = mapped_column(TIME)
    duration_ms: Mapped[float | None] = mapped_column(Double)
    worker: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    lease_until: Mapped[datetime | None] = mapped_column(TIME)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    counts: Mapped[dict[str, int] | None] = mapped_column(JSON)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Text)
    query_ms: Mapped[float | None] = mapped_column(Double)
    __table_args__ = (
        Index("job_runs_slot", "job", "slot", unique=True),
        Index("job_runs_history", "job", "scheduled_at"),
        Index("job_runs_running", "job", "lease_until", postgresql_where=text("outcome IS NULL")),
        Index("job_runs_ended_at", "ended_at"),
        CheckConstraint("kind in ('slot', 'manual', 'dry_run')", name="job_runs_kind_known"),
        CheckConstraint("(slot IS NOT NULL) = (kind = 'slot')", name="job_runs_slot_has_kind"),
        CheckConstraint(
            "outcome in ('ok', 'failed', 'timed_out', 'late', 'skipped_overlap', "
            "'skipped_paused', 'missed', 'manual', 'dry_run')",
            name="job_runs_outcome_known",
        ),
        CheckConstraint(
            "outcome IS NOT NULL OR lease_until IS NOT NULL", name="job_runs_running_has_lease"
        ),
    )


class LateJob(Base):
    """A slot that should have a run by now and has none, or a run whose worker is gone: a view."""

    __tablename__ = "late_jobs"
    job: Mapped[str] = mapped_column(Text, primary_key=True)
    slot: Mapped[datetime | None] = mapped_column(TIME, primary_key=True)
    scheduled_at: Mapped[datetime] = mapped_column(TIME, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    overdue: Mapped[timedelta] = mapped_column(Interval)
    run: Mapped[int | None] = mapped_column(BigInteger)
    worker: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (VIEW,)


class Alert(Base):
    """A condition that somebody should know of, from its begin to its end."""

    __tablename__ = "alerts"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    value: Mapped[float | None] = mapped_column(Double)
    began_at: Mapped[datetime] = mapped_column(TIME)
    ended_at: Mapped[datetime | None] = mapped_column(TIME)
    acknowledged_at: Mapped[datetime | None] = mapped_column(TIME)
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index(
            "alerts_open",
            "kind",
            "subject",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("alerts_ended_at", "ended_at"),
    )


class AlertDelivery(Base):
    """A message of an alert's begin or end for one channel, until it is sent."""

    __tablename__ = "alert_deliveries"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text, server_default=text("'webhook'"))
    tries: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    next_try_at: Mapped[datetime] = mapped_column(TIME)
    sent_at: Mapped[datetime | None] = mapped_column(TIME)
    error: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index("alert_deliveries_event", "alert_id", "event", "channel", unique=True),
        Index("alert_deliveries_open", "next_try_at", postgresql_where=text("sent_at IS NULL")),
        CheckConstraint("event in ('begin', 'end')", name="alert_deliveries_event_known"),
    )


class ArchivedActivity(Base):
    """An activity that cleanupOldActivity has deleted, whole, so that it can be put back."""

    __tablename__ = "activity_archive"
    run_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    archived_at: Mapped[datetime] = mapped_column(TIME)
    restored_at: Mapped[datetime | None] = mapped_column(TIME)
    kept_until: Mapped[datetime | None] = mapped_column(TIME)
    timestamp: Mapped[datetime | None] = mapped_column(TIME)
    version: Mapped[int] = mapped_column(BigInteger)
    version_minor: Mapped[int] = mapped_column(Integer)
    changed_at: Mapped[datetime] = mapped_column(TIME)
    src_partition: Mapped[int] = mapped_column(Integer)
    src_offset: Mapped[int] = mapped_column(BigInteger)
    version_generation: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    doc: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    __table_args__ = (
        Index("activity_archive_kept", "id", postgresql_where=text("kept_until IS NOT NULL")),
    )


class InactiveUser(Base):
    """A user profile that is inactive now; ``since`` is when the user was last active."""

    __tablename__ = "inactive_users"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str | None] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(TIME)
    marked_at: Mapped[datetime] = mapped_column(TIME)
    run_id: Mapped[int] = mapped_column(BigInteger)


class InactivityEvent(Base):
    """A user turned inactive or active again; goes out to Kafka, then ``sent_at`` is set."""

    __tablename__ = "inactivity_events"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    ce_id: Mapped[str] = mapped_column(Text)
    event: Mapped[str] = mapped_column(Text)
    profile_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str | None] = mapped_column(Text)
    last_active_at: Mapped[datetime] = mapped_column(TIME)
    occurred_at: Mapped[datetime] = mapped_column(TIME)
    run_id: Mapped[int] = mapped_column(BigInteger)
    sent_at: Mapped[datetime | None] = mapped_column(TIME)
    __table_args__ = (
        Index("inactivity_events_ce_id", "ce_id", unique=True),
        Index("inactivity_events_open", "id", postgresql_where=text("sent_at IS NULL")),
        CheckConstraint("event in ('inactive', 'active')", name="inactivity_events_event_known"),
    )


class ArchiveObject(Base):
    """An object of the executions' archive: documents of one day that one run archived.

    ``writing``: nothing rests on it yet. ``written``: it is verified, rows are being emptied.
    ``done``: they all are. ``expired``: it is being deleted. ``deleted``: it is gone.
    """

    __tablename__ = "archive_objects"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    day: Mapped[date] = mapped_column(Date)
    run_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(TIME)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(Text)
    first_id: Mapped[str | None] = mapped_column(Text)
    last_id: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index("archive_objects_name", "name", unique=True),
        Index("archive_objects_day", "day", "id"),
        CheckConstraint(
            "state in ('writing', 'written', 'done', 'expired', 'deleted')",
            name="archive_objects_state_known",
        ),
    )


class ArchiveRestore(Base):
    """An execution whose document was put back, and where its archived copy lies; compaction
    leaves it alone until then.
    """

    __tablename__ = "archive_restores"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    object_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger)
    version_minor: Mapped[int] = mapped_column(Integer)
    until: Mapped[datetime] = mapped_column(TIME)
    __table_args__ = (Index("archive_restores_until", "until", "id"),)
