"""What the models share."""

from __future__ import annotations

from sqlalchemy import (
    DateTime,
    text,
)
from sqlalchemy.orm import DeclarativeBase

TIME = DateTime(timezone=True)
ZERO = text("0")
DELETED = text("deleted_at IS NOT NULL")


class Base(DeclarativeBase):
    """Base of all models."""
