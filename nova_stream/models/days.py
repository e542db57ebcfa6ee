"""Days of executions that are counted already: the product's own, and no public models."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Numeric, Text
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, Base


class ExecutionDay(Base):
    """A name's executions of a day (UTC), with their durations as ``stats.histogram`` has them."""

    __tablename__ = "execution_days"
    agent: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[datetime] = mapped_column(TIME, primary_key=True)
    executions: Mapped[int] = mapped_column(BigInteger)
    timed: Mapped[int] = mapped_column(BigInteger)
    duration_sum: Mapped[Decimal] = mapped_column(Numeric)
    histogram: Mapped[Decimal] = mapped_column(Numeric)


class ExecutionDaysUntil(Base):
    """Up to when a name's days are counted: those before without a row had no executions, and what
    rows say of later ones means nothing.
    """

    __tablename__ = "execution_days_until"
    agent: Mapped[str] = mapped_column(Text, primary_key=True)
    until: Mapped[datetime] = mapped_column(TIME)
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)
