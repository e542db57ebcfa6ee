"""The tables of nova-stream (contract section 4) as SQLAlchemy models.

The migrations make them; ``make check`` compares the two. The hot path does not use the
models: it speaks to asyncpg with the statements of ``storage.sql``.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Computed,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_TIME = DateTime(timezone=True)
_ZERO = text("0")
_DELETED = text("deleted_at IS NOT NULL")


def _read(expression: str, type_: Any = Text) -> Any:
    """A column that is read from ``doc`` and costs nothing to write (PostgreSQL 18)."""
    return mapped_column(type_, Computed(expression, persisted=False))


class Base(DeclarativeBase):
    """Base of all models."""


class EntityRow:
    """What every entity's row has: its version, where it came from, its document.

    A deleted entity keeps its row as a tombstone (``deleted_at`` set, typed columns and ``doc``
    null), so that an older change that arrives late cannot bring it back.
    """

    id: Mapped[str] = mapped_column(Text, primary_key=True, sort_order=-1)
    version: Mapped[int] = mapped_column(BigInteger, sort_order=1)
    version_minor: Mapped[int] = mapped_column(Integer, sort_order=1)
    changed_at: Mapped[datetime] = mapped_column(_TIME, sort_order=1)
    deleted_at: Mapped[datetime | None] = mapped_column(_TIME, sort_order=1)
    src_partition: Mapped[int] = mapped_column(Integer, sort_order=1)
    src_offset: Mapped[int] = mapped_column(BigInteger, sort_order=1)
    doc: Mapped[dict[str, Any] | None] = mapped_column(JSONB, sort_order=1)


class Agent(EntityRow, Base):
    """A registered agent."""

    __tablename__ = "agents"
    name: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(_TIME)
    role: Mapped[str | None] = _read("doc ->> 'role'")
    domain: Mapped[str | None] = _read("doc ->> 'domain'")
    model: Mapped[str | None] = _read("doc ->> 'model'")
    __table_args__ = (Index("agents_name", "name"),)


class Build(EntityRow, Base):
    """A build of a product requirement document."""

    __tablename__ = "builds"
    status: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(_TIME)
    completed_at: Mapped[datetime | None] = mapped_column(_TIME)
    prd_id: Mapped[str | None] = _read("doc ->> 'prdId'")
    prd_name: Mapped[str | None] = _read("doc ->> 'prdName'")
    error: Mapped[str | None] = _read("doc ->> 'error'")
    __table_args__ = (
        Index("builds_completed_at", "completed_at"),
        Index("builds_status_started_at", "status", "started_at"),
        Index("builds_started_at", "started_at", "id"),
        Index("builds_tombstones", "id", postgresql_where=_DELETED),
        Index("builds_prd_id", text("left(doc ->> 'prdId', 256)")),
    )


class Task(EntityRow, Base):
    """A task of a build; counts for the agent that it names."""

    __tablename__ = "tasks"
    build_id: Mapped[str | None] = mapped_column(Text)
    agent: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(_TIME)
    task_id: Mapped[str | None] = _read("doc ->> 'taskId'")
    title: Mapped[str | None] = _read("doc ->> 'title'")
    dependencies: Mapped[list[Any] | None] = _read("doc -> 'dependencies'", JSONB)
    phase: Mapped[Decimal | None] = _read("(doc ->> 'phase')::numeric", Numeric)
    attempts: Mapped[Decimal | None] = _read("(doc ->> 'attempts')::numeric", Numeric)
    output: Mapped[str | None] = _read("doc ->> 'output'")
    error: Mapped[str | None] = _read("doc ->> 'error'")
    __table_args__ = (
        Index("tasks_build_id", "build_id"),
        Index("tasks_agent", "agent", "id"),
        Index("tasks_tombstones", "id", postgresql_where=_DELETED),
        {"postgresql_with": {"fillfactor": 80}},
    )


class Execution(EntityRow, Base):
    """One run of a task by an agent; ``duration`` is in milliseconds.

    A row without ``doc`` that is no tombstone is archived: the document lies in the object
    ``archive_object`` since ``archived_at``. A newer version brings a document and leaves the two
    as they are; they mean nothing then.
    """

    __tablename__ = "executions"
    task_id: Mapped[str | None] = mapped_column(Text)
    agent: Mapped[str | None] = mapped_column(Text)
    duration: Mapped[Decimal | None] = mapped_column(Numeric)
    timestamp: Mapped[datetime | None] = mapped_column(_TIME)
    model: Mapped[str | None] = _read("doc ->> 'model'")
    prompt: Mapped[str | None] = _read("doc ->> 'prompt'")
    response: Mapped[str | None] = _read("doc ->> 'response'")
    gates_passed: Mapped[bool | None] = _read("(doc ->> 'gatesPassed')::boolean", Boolean)
    error: Mapped[str | None] = _read("doc ->> 'error'")
    archived_at: Mapped[datetime | None] = mapped_column(_TIME, sort_order=2)
    archive_object: Mapped[int | None] = mapped_column(BigInteger, sort_order=2)
    __table_args__ = (
        Index("executions_agent_timestamp", "agent", "timestamp", postgresql_include=["duration"]),
        Index("executions_task_id", "task_id"),
        Index("executions_to_compact", "timestamp", "id", postgresql_where=text("doc IS NOT NULL")),
        Index("executions_tombstones", "id", postgresql_where=_DELETED),
    )


class Activity(EntityRow, Base):
    """An entry of a user's activity feed."""

    __tablename__ = "agent_activity_feed"
    timestamp: Mapped[datetime | None] = mapped_column(_TIME)
    user_id: Mapped[str | None] = _read("doc ->> 'userId'")
    agent_name: Mapped[str | None] = _read("doc ->> 'agentName'")
    event_type: Mapped[str | None] = _read("doc ->> 'eventType'")
    task_id: Mapped[str | None] = _read("doc ->> 'taskId'")
    details: Mapped[str | None] = _read("doc ->> 'details'")
    __table_args__ = (
        Index("agent_activity_feed_timestamp", "timestamp", "id"),
        Index("agent_activity_feed_tombstones", "id", postgresql_where=_DELETED),
    )


class User(EntityRow, Base):
    """A user's profile."""

    __tablename__ = "user_profiles"
    created_at: Mapped[datetime | None] = mapped_column(_TIME)
    last_active_at: Mapped[datetime | None] = mapped_column(_TIME)
    user_id: Mapped[str | None] = _read("doc ->> 'userId'")
    email: Mapped[str | None] = _read("doc ->> 'email'")
    tier: Mapped[str | None] = _read("doc ->> 'tier'")
    global_wisdom_opt_in: Mapped[bool | None] = _read(
        "(doc ->> 'globalWisdomOptIn')::boolean", Boolean
    )
    __table_args__ = (
        Index("user_profiles_last_active_at", "last_active_at", "id"),
        Index("user_profiles_tombstones", "id", postgresql_where=_DELETED),
    )


class AgentStatsCache(Base):
    """The statistics of each registered agent, equal to a recount in every snapshot."""

    __tablename__ = "agent_stats_cache"
    agent_id: Mapped[str] = mapped_column(Text, primary_key=True)
    agent_name: Mapped[str] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    total_tasks: Mapped[int] = mapped_column(BigInteger)
    completed_tasks: Mapped[int] = mapped_column(BigInteger)
    failed_tasks: Mapped[int] = mapped_column(BigInteger)
    success_rate: Mapped[float] = mapped_column(Double)
    avg_duration: Mapped[float] = mapped_column(Double)
    last_active: Mapped[datetime | None] = mapped_column(_TIME)
    current_status: Mapped[str] = mapped_column(Text)
    cached_at: Mapped[datetime] = mapped_column(_TIME)
    __table_args__ = (
        Index("agent_stats_cache_agent_name", "agent_name"),
        {"postgresql_with": {"fillfactor": 50}},
    )


class BuildStatsCache(Base):
    """The statistics of all builds: one row."""

    __tablename__ = "build_stats_cache"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    total_builds: Mapped[int] = mapped_column(BigInteger)
    completed_builds: Mapped[int] = mapped_column(BigInteger)
    failed_builds: Mapped[int] = mapped_column(BigInteger)
    running_builds: Mapped[int] = mapped_column(BigInteger)
    success_rate: Mapped[float] = mapped_column(Double)
    avg_duration_ms: Mapped[float] = mapped_column(Double)
    last_build_time: Mapped[datetime | None] = mapped_column(_TIME)
    cached_at: Mapped[datetime] = mapped_column(_TIME)
    __table_args__ = (
        CheckConstraint("id = 1", name="build_stats_cache_one_row"),
        {"postgresql_with": {"fillfactor": 50}},
    )


class AgentStatsPartial(Base):
    """What the records of one partition have added to an agent's figures.

    One alone may be negative and means nothing; the sum over an agent's rows is exact.
    """

    __tablename__ = "agent_stats_partials"
    agent: Mapped[str] = mapped_column(Text, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    total_tasks: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    completed_tasks: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    failed_tasks: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    running_tasks: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    active_tasks: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    executions: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    duration_sum: Mapped[Decimal] = mapped_column(Numeric, server_default=_ZERO)
    __table_args__ = (
        Index("agent_stats_partials_position", "topic", "partition"),
        {"postgresql_with": {"fillfactor": 50}},
    )


class BuildStatsPartial(Base):
    """What the records of one partition have added to the builds' figures."""

    __tablename__ = "build_stats_partials"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    total_builds: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    completed_builds: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    failed_builds: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    running_builds: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    timed_builds: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    duration_sum_ms: Mapped[Decimal] = mapped_column(Numeric, server_default=_ZERO)
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)


class StreamTopic(Base):
    """A topic as nova-stream knows it: its id in Kafka, its generation, its kind of version.

    ``enlarged_at`` is set where it got more partitions while its versions are offsets: those of
    two partitions do not compare.
    """

    __tablename__ = "stream_topics"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    topic_id: Mapped[str | None] = mapped_column(Text)
    generation: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    version_kind: Mapped[str | None] = mapped_column(Text)
    partitions: Mapped[int | None] = mapped_column(Integer)
    enlarged_at: Mapped[datetime | None] = mapped_column(_TIME)


class StreamPosition(Base):
    """The next offset to apply of a partition: the only truth about what has been applied."""

    __tablename__ = "stream_positions"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    next_offset: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    epoch: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    updated_at: Mapped[datetime] = mapped_column(_TIME, server_default=text("now()"))
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)


class DeadLetter(Base):
    """A record that could not be applied, with its bytes."""

    __tablename__ = "dead_letters"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    topic: Mapped[str] = mapped_column(Text)
    partition: Mapped[int] = mapped_column(Integer)
    offset: Mapped[int] = mapped_column(BigInteger)
    generation: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    key: Mapped[bytes | None] = mapped_column(LargeBinary)
    value: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[list[Any]] = mapped_column(JSONB)
    record_time: Mapped[datetime | None] = mapped_column(_TIME)
    reason: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[datetime] = mapped_column(_TIME, server_default=text("now()"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    state: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    __table_args__ = (
        Index("dead_letters_record", "topic", "generation", "partition", "offset", unique=True),
        Index("dead_letters_state", "state", "id"),
        CheckConstraint(
            "state in ('open', 'retried', 'discarded')", name="dead_letters_state_known"
        ),
    )


# -- jobs (migration 0002) ---------------------------------------------------------------------


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
    created_at: Mapped[datetime] = mapped_column(_TIME)
    expected_from: Mapped[datetime] = mapped_column(_TIME)
    accounted_to: Mapped[datetime] = mapped_column(_TIME)
    paused_at: Mapped[datetime | None] = mapped_column(_TIME)
    paused_reason: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        CheckConstraint("missed in ('latest', 'skip')", name="job_settings_missed_known"),
    )


class JobRun(Base):
    """A line of the ledger: a slot, or a run by hand. ``outcome`` is null while it runs."""

    __tablename__ = "job_runs"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    job: Mapped[str] = mapped_column(Text)
    slot: Mapped[datetime | None] = mapped_column(_TIME)
    kind: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    scheduled_at: Mapped[datetime] = mapped_column(_TIME)
    late: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    at: Mapped[datetime | None] = mapped_column(_TIME)
    started_at: Mapped[datetime | None] = mapped_column(_TIME)
    ended_at: Mapped[datetime | None] = mapped_column(_TIME)
    duration_ms: Mapped[float | None] = mapped_column(Double)
    worker: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    lease_until: Mapped[datetime | None] = mapped_column(_TIME)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    counts: Mapped[dict[str, int] | None] = mapped_column(JSON)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Text)
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


class Alert(Base):
    """A condition that somebody should know of, from its begin to its end."""

    __tablename__ = "alerts"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    value: Mapped[float | None] = mapped_column(Double)
    began_at: Mapped[datetime] = mapped_column(_TIME)
    ended_at: Mapped[datetime | None] = mapped_column(_TIME)
    __table_args__ = (
        Index(
            "alerts_open", "kind", "subject", unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("alerts_ended_at", "ended_at"),
    )  # fmt: skip


class AlertDelivery(Base):
    """A message of an alert's begin or end that the webhook takes, until it is sent."""

    __tablename__ = "alert_deliveries"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    next_try_at: Mapped[datetime] = mapped_column(_TIME)
    sent_at: Mapped[datetime | None] = mapped_column(_TIME)
    error: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index("alert_deliveries_event", "alert_id", "event", unique=True),
        Index("alert_deliveries_open", "next_try_at", postgresql_where=text("sent_at IS NULL")),
        CheckConstraint("event in ('begin', 'end')", name="alert_deliveries_event_known"),
    )


# -- the jobs' work (migration 0003) -----------------------------------------------------------


class ArchivedActivity(Base):
    """An activity that cleanupOldActivity has deleted, whole, so that it can be put back."""

    __tablename__ = "activity_archive"
    run_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    archived_at: Mapped[datetime] = mapped_column(_TIME)
    restored_at: Mapped[datetime | None] = mapped_column(_TIME)
    kept_until: Mapped[datetime | None] = mapped_column(_TIME)
    timestamp: Mapped[datetime | None] = mapped_column(_TIME)
    version: Mapped[int] = mapped_column(BigInteger)
    version_minor: Mapped[int] = mapped_column(Integer)
    changed_at: Mapped[datetime] = mapped_column(_TIME)
    src_partition: Mapped[int] = mapped_column(Integer)
    src_offset: Mapped[int] = mapped_column(BigInteger)
    doc: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    __table_args__ = (
        Index("activity_archive_kept", "id", postgresql_where=text("kept_until IS NOT NULL")),
    )


class InactiveUser(Base):
    """A user profile that is inactive now; ``since`` is when the user was last active."""

    __tablename__ = "inactive_users"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str | None] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(_TIME)
    marked_at: Mapped[datetime] = mapped_column(_TIME)
    run_id: Mapped[int] = mapped_column(BigInteger)


class InactivityEvent(Base):
    """A user turned inactive or active again; goes out to Kafka, then ``sent_at`` is set."""

    __tablename__ = "inactivity_events"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    ce_id: Mapped[str] = mapped_column(Text)
    event: Mapped[str] = mapped_column(Text)
    profile_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str | None] = mapped_column(Text)
    last_active_at: Mapped[datetime] = mapped_column(_TIME)
    occurred_at: Mapped[datetime] = mapped_column(_TIME)
    run_id: Mapped[int] = mapped_column(BigInteger)
    sent_at: Mapped[datetime | None] = mapped_column(_TIME)
    __table_args__ = (
        Index("inactivity_events_ce_id", "ce_id", unique=True),
        Index("inactivity_events_open", "id", postgresql_where=text("sent_at IS NULL")),
        CheckConstraint("event in ('inactive', 'active')", name="inactivity_events_event_known"),
    )


class BuildStatsHistory(Base):
    """The builds' figures as refreshBuildStats found them, a row a run."""

    __tablename__ = "build_stats_history"
    taken_at: Mapped[datetime] = mapped_column(_TIME, primary_key=True)
    total_builds: Mapped[int] = mapped_column(BigInteger)
    completed_builds: Mapped[int] = mapped_column(BigInteger)
    failed_builds: Mapped[int] = mapped_column(BigInteger)
    running_builds: Mapped[int] = mapped_column(BigInteger)
    success_rate: Mapped[float] = mapped_column(Double)
    avg_duration_ms: Mapped[float] = mapped_column(Double)
    drift: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[int] = mapped_column(BigInteger)


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
    created_at: Mapped[datetime] = mapped_column(_TIME)
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
    until: Mapped[datetime] = mapped_column(_TIME)
    __table_args__ = (Index("archive_restores_until", "until", "id"),)


# -- the API (migration 0004) ------------------------------------------------------------------


class ApiToken(Base):
    """A token of the API: the SHA-256 of its secret. A revoked one keeps its row, so that an API
    whose last token was revoked is not open.
    """

    __tablename__ = "api_tokens"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(_TIME)
    expires_at: Mapped[datetime | None] = mapped_column(_TIME)
    revoked_at: Mapped[datetime | None] = mapped_column(_TIME)
    last_used_at: Mapped[datetime | None] = mapped_column(_TIME)
    __table_args__ = (
        Index("api_tokens_digest", "digest", unique=True),
        Index("api_tokens_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
        CheckConstraint(
            "scopes <@ ARRAY['read', 'publish', 'admin'] AND cardinality(scopes) > 0",
            name="api_tokens_scopes_known",
        ),
    )
