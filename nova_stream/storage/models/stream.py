"""What the stream keeps: statistics, partials, positions, dead letters."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.storage.models.base import TIME, ZERO, Base


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
    last_active: Mapped[datetime | None] = mapped_column(TIME)
    current_status: Mapped[str] = mapped_column(Text)
    cached_at: Mapped[datetime] = mapped_column(TIME)
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
    last_build_time: Mapped[datetime | None] = mapped_column(TIME)
    cached_at: Mapped[datetime] = mapped_column(TIME)
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
    total_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    completed_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    failed_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    running_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    active_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    executions: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    duration_sum: Mapped[Decimal] = mapped_column(Numeric, server_default=ZERO)
    __table_args__ = (
        Index("agent_stats_partials_position", "topic", "partition"),
        {"postgresql_with": {"fillfactor": 50}},
    )


class BuildStatsPartial(Base):
    """What the records of one partition have added to the builds' figures."""

    __tablename__ = "build_stats_partials"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    total_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    completed_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    failed_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    running_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    timed_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    duration_sum_ms: Mapped[Decimal] = mapped_column(Numeric, server_default=ZERO)
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)


class StreamTopic(Base):
    """A topic as nova-stream knows it: its id in Kafka, its generation, its kind of version.

    ``enlarged_at`` is set where it got more partitions while its versions are offsets: those of
    two partitions do not compare. ``source_generation`` counts the servers that its lsns came
    from, ``truncation`` is what the last truncation means for partitions that are new.
    ``flattened`` is whether it has had records without an envelope: its tombstones delete.
    """

    __tablename__ = "stream_topics"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    topic_id: Mapped[str | None] = mapped_column(Text)
    generation: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    version_kind: Mapped[str | None] = mapped_column(Text)
    partitions: Mapped[int | None] = mapped_column(Integer)
    enlarged_at: Mapped[datetime | None] = mapped_column(TIME)
    source_generation: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    truncation: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    flattened: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class StreamPosition(Base):
    """The next offset to apply of a partition: the only truth about what has been applied.

    ``records_end`` is the offset after the last record that was applied, at ``updated_at``: from
    there to ``next_offset`` there are none, but markers of transactions, say.

    Where versions are lsns: ``source_generation`` is that of the topic, ``source_offsets`` has the
    offset where each generation after the first begins, ``lsn_high`` the highest lsn of the last.
    ``truncation`` says which changes the last truncation leaves without effect.
    """

    __tablename__ = "stream_positions"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    next_offset: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    records_end: Mapped[int | None] = mapped_column(BigInteger)
    epoch: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    updated_at: Mapped[datetime] = mapped_column(TIME, server_default=text("now()"))
    source_generation: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    source_offsets: Mapped[list[int]] = mapped_column(
        ARRAY(BigInteger), server_default=text("'{}'")
    )
    lsn_high: Mapped[int | None] = mapped_column(BigInteger)
    truncation: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)


class DeadLetter(Base):
    """A record that could not be applied, with its bytes."""

    __tablename__ = "dead_letters"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    topic: Mapped[str] = mapped_column(Text)
    partition: Mapped[int] = mapped_column(Integer)
    offset: Mapped[int] = mapped_column(BigInteger)
    generation: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    key: Mapped[bytes | None] = mapped_column(LargeBinary)
    value: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[list[Any]] = mapped_column(JSONB)
    record_time: Mapped[datetime | None] = mapped_column(TIME)
    reason: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[datetime] = mapped_column(TIME, server_default=text("now()"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    state: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    __table_args__ = (
        Index("dead_letters_record", "topic", "generation", "partition", "offset", unique=True),
        Index("dead_letters_state", "state", "id"),
        Index(
            "dead_letters_moved",
            "topic",
            "generation",
            "partition",
            "offset",
            postgresql_where=text("state = 'open' AND reason = 'source_moved'"),
        ),
        CheckConstraint(
            "state in ('open', 'retried', 'discarded')", name="dead_letters_state_known"
        ),
    )
