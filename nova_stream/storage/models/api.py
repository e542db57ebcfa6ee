"""What the API keeps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.storage.models.base import TIME, Base


class ApiToken(Base):
    """A token of the API: the SHA-256 of its secret. A revoked one keeps its row, so that an API
    whose last token was revoked is not open.
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
    __table_args__ = (
        Index("api_tokens_digest", "digest", unique=True),
        Index("api_tokens_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
        CheckConstraint(
            "scopes <@ ARRAY['read', 'publish', 'admin'] AND cardinality(scopes) > 0",
            name="api_tokens_scopes_known",
        ),
    )
