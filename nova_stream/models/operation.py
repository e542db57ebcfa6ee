"""What jobs and stream keep: runs, alerts, who is inactive, positions, dead letters, and how the
stream has been doing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, JSON, BigInteger, Integer
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import Base


class JobRun(Base):
    """A line of the ledger: a slot, or a run by hand. ``outcome`` is null while it runs."""

    __tablename__ = "job_runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str]
    slot: Mapped[datetime | None]
    kind: Mapped[str]
    outcome: Mapped[str | None]
    scheduled_at: Mapped[datetime]
    late: Mapped[bool]
    at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    duration_ms: Mapped[float | None]
    worker: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(Integer)
    fence: Mapped[int]
    lease_until: Mapped[datetime | None]
    rows: Mapped[int | None]
    counts: Mapped[dict[str, int] | None] = mapped_column(JSON)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None]
    query_ms: Mapped[float | None]


class LateJob(Base):
    """A slot that should have a run by now and has none, or a run whose worker is gone: a view."""

    __tablename__ = "late_jobs"
    job: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[datetime | None] = mapped_column(primary_key=True)
    scheduled_at: Mapped[datetime] = mapped_column(primary_key=True)
    reason: Mapped[str]
    overdue: Mapped[timedelta]
    run: Mapped[int | None]
    worker: Mapped[str | None]


class Alert(Base):
    """A condition that somebody should know of, from its begin to its end."""

    __tablename__ = "alerts"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    message: Mapped[str]
    value: Mapped[float | None]
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]


class InactiveUser(Base):
    """A user profile that is inactive now; ``since`` is when the user was last active."""

    __tablename__ = "inactive_users"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str | None]
    since: Mapped[datetime]
    marked_at: Mapped[datetime]
    run_id: Mapped[int]


class StreamPosition(Base):
    """The next offset to apply of a partition: the only truth about what has been applied.

    ``records_end`` is the offset after the last record that was applied, at ``updated_at``: from
    there to ``next_offset`` there are none, but markers of transactions, say.

    Where versions are lsns: ``source_generation`` is that of the topic, ``source_offsets`` has the
    offset where each generation after the first begins, ``lsn_high`` the highest lsn of the last.
    ``truncation`` says which changes the last truncation leaves without effect. ``stopped_why`` is
    set, since ``stopped_at``, where the partition stands since most of its records would be dead
    letters.
    """

    __tablename__ = "stream_positions"
    topic: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    next_offset: Mapped[int]
    records_end: Mapped[int | None]
    epoch: Mapped[int]
    updated_at: Mapped[datetime]
    source_generation: Mapped[int] = mapped_column(Integer)
    source_offsets: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    lsn_high: Mapped[int | None]
    truncation: Mapped[dict[str, Any] | None]
    stopped_at: Mapped[datetime | None]
    stopped_why: Mapped[str | None]


class DeadLetter(Base):
    """A record that could not be applied, with its bytes."""

    __tablename__ = "dead_letters"
    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str]
    partition: Mapped[int] = mapped_column(Integer)
    offset: Mapped[int]
    generation: Mapped[int] = mapped_column(Integer)
    key: Mapped[bytes | None]
    value: Mapped[bytes | None]
    headers: Mapped[list[Any]]
    record_time: Mapped[datetime | None]
    reason: Mapped[str]
    message: Mapped[str]
    failed_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(Integer)
    state: Mapped[str]


class StreamHistory(Base):
    """A minute of the stream (UTC): lag in records, pace, and freshness in milliseconds. A minute
    in which no worker ran has no row; ``seconds`` says how much of it workers saw.
    """

    __tablename__ = "stream_history"
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    seconds: Mapped[float]
    lag_records: Mapped[float | None]
    lag_records_max: Mapped[int | None]
    applied_records: Mapped[int]
    applied_records_per_second: Mapped[float | None]
    freshness_ms_avg: Mapped[float | None]
    freshness_ms_max: Mapped[float | None]
