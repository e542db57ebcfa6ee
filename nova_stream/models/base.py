"""What the models share."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, NoReturn

from sqlalchemy import BigInteger, DateTime, Double, Text, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from nova_stream.errors import UsageError

#: Options of an engine or a connection: all statements of a transaction see one moment, and
#: Postgres refuses to change anything.
SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class Base(DeclarativeBase):
    """Base of all models. They are for reading: a session that would write one raises UsageError,
    since rows and figures follow from published changes alone. They have columns and keys; the rest
    of the schema (indexes, checks, defaults) is the migrations'.
    """

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        int: BigInteger,
        float: Double,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


def _refuse(mapper: Any, _connection: Any, _row: object) -> NoReturn:
    raise UsageError(
        f"{mapper.local_table.name} is for reading: rows and figures follow from the changes that "
        "are published (nova_stream.ChangePublisher)"
    )


for _when in ("before_insert", "before_update", "before_delete"):
    event.listen(Base, _when, _refuse, propagate=True)
