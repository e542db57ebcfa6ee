"""How the stream has been doing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Double, Numeric, Text
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, VIEW, Base


class StreamSample(Base):
    """What one worker saw and did in the ``seconds`` from ``at`` on; older ones are folded into one
    of a minute, of all workers, whose name is ''. The product's own, and no public model.

    ``lag`` is that of all partitions, as each worker found it, for ``lag_seconds``: null and none
    where Kafka did not answer. ``freshness`` is a histogram as ``stats.freshness`` has it.
    """

    __tablename__ = "stream_samples"
    at: Mapped[datetime] = mapped_column(TIME, primary_key=True)
    worker: Mapped[str] = mapped_column(Text, primary_key=True)
    seconds: Mapped[float] = mapped_column(Double)
    lag: Mapped[float | None] = mapped_column(Double)
    lag_seconds: Mapped[float] = mapped_column(Double)
    lag_max: Mapped[int | None] = mapped_column(BigInteger)
    applied: Mapped[int] = mapped_column(BigInteger)
    flushes: Mapped[int] = mapped_column(BigInteger)
    freshness_ms_sum: Mapped[float] = mapped_column(Double)
    freshness_ms_max: Mapped[float | None] = mapped_column(Double)
    freshness: Mapped[Decimal] = mapped_column(Numeric)


class StreamHistory(Base):
    """A minute of the stream (UTC): lag in records, pace, and freshness in milliseconds. A minute
    in which no worker ran has no row; ``seconds`` says how much of it workers saw.
    """

    __tablename__ = "stream_history"
    minute: Mapped[datetime] = mapped_column(TIME, primary_key=True)
    seconds: Mapped[float] = mapped_column(Double)
    lag_records: Mapped[float | None] = mapped_column(Double)
    lag_records_max: Mapped[int | None] = mapped_column(BigInteger)
    applied_records: Mapped[int] = mapped_column(BigInteger)
    applied_records_per_second: Mapped[float | None] = mapped_column(Double)
    freshness_ms_avg: Mapped[float | None] = mapped_column(Double)
    freshness_ms_max: Mapped[float | None] = mapped_column(Double)
    __table_args__ = (VIEW,)
