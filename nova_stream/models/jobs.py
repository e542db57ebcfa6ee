"""What the jobs keep: the ledger, alerts, who is inactive."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Integer
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
