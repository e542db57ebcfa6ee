"""What the API keeps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, Base


class ApiToken(Base):
    """A token of the API: the SHA-256 of its secret. A revoked one keeps its row, so that an API
    whose last token was revoked is not open; one that was replaced works until it expires.
    """

    __tablename__ = "api_tokens"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(TIME)
    expires_at: Mapped[datetime | None] = mapped_column(TIME)
    revoked_at: Mapped[datetime | None] = mapped_column(TIME)
    last_used_at: Mapped[datetime | None] = mapped_column(TIME)
    replaced_at: Mapped[datetime | None] = mapped_column(TIME)
    __table_args__ = (
        Index("api_tokens_digest", "digest", unique=True),
        Index(
            "api_tokens_name",
            "name",
            unique=True,
            postgresql_where=text("revoked_at IS NULL AND replaced_at IS NULL"),
        ),
        CheckConstraint(
            "scopes <@ ARRAY['metrics', 'stats', 'documents', 'publish', 'admin', 'read'] "
            "AND cardinality(scopes) > 0",
            name="api_tokens_scopes_known",
        ),
    )


class TrailLine(Base):
    """Something that was done with the API or by command, or refused. The table only grows: a
    trigger refuses everything but new rows, and the deletion of those that are older than a year.
    """

    __tablename__ = "audit_trail"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime] = mapped_column(TIME)
    until: Mapped[datetime] = mapped_column(TIME)
    requests: Mapped[int] = mapped_column(BigInteger)
    token: Mapped[str | None] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    object: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    refused: Mapped[bool] = mapped_column(Boolean)
