"""What the stream keeps: topics, positions, dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Index,
    Integer,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, ZERO, Base


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
    ``truncation`` says which changes the last truncation leaves without effect. ``stopped_why`` is
    set, since ``stopped_at``, where the partition stands since most of its records would be dead
    letters.
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
    stopped_at: Mapped[datetime | None] = mapped_column(TIME)
    stopped_why: Mapped[str | None] = mapped_column(Text)
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
