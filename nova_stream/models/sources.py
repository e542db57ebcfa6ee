"""What captures of other databases keep: how far each has come, and what it has published."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, ZERO, Base


class SourceCursor(Base):
    """How far the capture of a source has come, and which instance holds it.

    ``epoch`` rises with every change of hands: an instance stores nothing under an older one.
    """

    __tablename__ = "source_cursors"
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    address: Mapped[str] = mapped_column(Text)
    phase: Mapped[str] = mapped_column(Text, server_default=text("'new'"))
    snapshot: Mapped[int | None] = mapped_column(BigInteger)
    snapshot_table: Mapped[str | None] = mapped_column(Text)
    snapshot_page: Mapped[str | None] = mapped_column(Text)
    snapshot_documents: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    cursor: Mapped[int | None] = mapped_column(BigInteger)
    caught_up_at: Mapped[datetime | None] = mapped_column(TIME)
    updated_at: Mapped[datetime] = mapped_column(TIME, server_default=text("now()"))
    epoch: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    holder: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None] = mapped_column(TIME)
    __table_args__ = (
        CheckConstraint(
            "phase in ('new', 'snapshot', 'sweep', 'deltas')", name="source_cursors_phase_known"
        ),
        {"postgresql_with": {"fillfactor": 50}},
    )


class SourceDocument(Base):
    """A document of a source that was published and not deleted since.

    ``seen`` is the source's time at which it was there: what a whole snapshot has not seen again
    is gone.
    """

    __tablename__ = "source_documents"
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    entity: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    seen: Mapped[int] = mapped_column(BigInteger)
