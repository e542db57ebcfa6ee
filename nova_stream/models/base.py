"""What the models share."""

from __future__ import annotations

from typing import Any, NoReturn

from sqlalchemy import DateTime, event, text
from sqlalchemy.orm import DeclarativeBase

from nova_stream.errors import UsageError

TIME = DateTime(timezone=True)
ZERO = text("0")
DELETED = text("deleted_at IS NOT NULL")
#: Of a model: it is a view, which the migrations make from SQL of their own.
VIEW = {"info": {"view": True}}

#: Options of an engine or a connection: all statements of a transaction see one moment, and
#: Postgres refuses to change anything.
SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class Base(DeclarativeBase):
    """Base of all models. They are for reading: a session that would write one raises UsageError,
    since rows and figures follow from published changes alone.
    """


def _refuse(mapper: Any, _connection: Any, _row: object) -> NoReturn:
    raise UsageError(
        f"{mapper.local_table.name} is for reading: rows and figures follow from the changes that "
        "are published (nova_stream.ChangePublisher)"
    )


for _when in ("before_insert", "before_update", "before_delete"):
    event.listen(Base, _when, _refuse, propagate=True)
