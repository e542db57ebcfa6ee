"""SQL that reads a value's plain text, by the kind of the field and the type of the column.

What a column means does not follow from how a connector writes it: these expressions are written
from Postgres' types alone, so that the audit does not repeat a mistake of the decoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nova_stream.events.documents import Kind

_INTEGERS = frozenset({"int2", "int4", "int8", "oid"})
_FLOATS = frozenset({"float4", "float8"})
_EXACT = frozenset({"numeric", "money"})
_NUMBERS = _INTEGERS | _FLOATS | _EXACT
_INSTANTS = frozenset({"date", "timestamp", "timestamptz"})

_WHOLE = re.compile("-?(0|[1-9][0-9]{0,18})")
_RANGES = {
    "int2": range(-(2**15), 2**15),
    "int4": range(-(2**31), 2**31),
    "int8": range(-(2**63), 2**63),
    "oid": range(2**32),
}
#: The texts that are values of a type, in its own form.
_FORMS = {
    "numeric": re.compile(r"-?[0-9]{1,1000}(\.[0-9]{1,1000})?"),
    "uuid": re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}

#: A month as connectors count one in a duration: 365.25 days / 12, in milliseconds.
_MONTH_MS = 2_629_800_000


class ColumnType(NamedTuple):
    """A column's type: its name in ``pg_type`` below all domains; ``is_array`` for its arrays."""

    name: str
    is_array: bool = False


class Text(NamedTuple):
    """An expression for a value's text; a ``loose`` one is to be read by ``plain.loose_text``."""

    sql: str
    loose: bool = False


def plain_sql(kind: Kind, column: str, type_: ColumnType) -> Text:
    """The expression for the plain text of ``column``, which is quoted already."""
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(column, type_)
    if kind in {Kind.ID, Kind.REFERENCE} and not type_.is_array and type_.name in _NUMBERS:
        return Text(_exact(column, type_))
    # Connectors send the blanks at the end of a char(n), others do not.
    return Text(text_sql(column, type_), loose=type_.name == "bpchar" and kind is not Kind.ID)


def text_sql(column: str, type_: ColumnType) -> str:
    """A value as text: what its type writes."""
    if type_.is_array:
        return f"to_jsonb({column})::text"
    if type_.name == "bpchar":  # a cast to text would cut blanks off, which connectors send
        return f"CASE WHEN {column} IS NOT NULL THEN concat({column}) END"
    return f"{column}::text"


def native_array(column: str, type_: ColumnType, parameter: str) -> str:
    """A condition for rows whose id is among the texts of ``parameter``, along the id's index."""
    name = type_.name
    if type_.is_array or name in _FLOATS | {"money"}:
        return f"{plain_sql(Kind.ID, column, type_).sql} = ANY({parameter}::text[])"
    if name in {"text", "varchar"}:
        return f"{column} = ANY({parameter}::text[])"
    if name in _INTEGERS | {"numeric", "uuid", "bpchar", "citext"}:
        return f"{column} = ANY({parameter}::text[]::{name}[])"
    return f"{column}::text = ANY({parameter}::text[])"


def digest_sql(texts: Iterable[str], *, utf8: bool = True) -> str:
    """The expression for ``interface.digest`` of these texts; not ``utf8``: the database is not."""
    parts = "".join(f", length({text}), ':', {text}, ';'" for text in texts)
    joined = f"concat(''{parts})"
    return f"md5({joined})" if utf8 else f"md5(convert_to({joined}, 'UTF8'))"


def instant_sql(instant: str) -> str:
    """A timestamp with time zone as ``times.time_text`` writes it."""
    return f"""to_char({instant} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


def _time(column: str, type_: ColumnType) -> Text:
    if type_.is_array or type_.name not in _INSTANTS:
        numeric = not type_.is_array and type_.name in _NUMBERS
        return Text(_exact(column, type_) if numeric else text_sql(column, type_), loose=True)
    # Infinity, and years that nova-stream has no instants of, are as if there was no value.
    within = f"CASE WHEN {column} >= '0001-01-01' AND {column} < '10000-01-01' THEN {column} END"
    if type_.name == "timestamptz":
        return Text(instant_sql(within))
    # A date is its midnight, and a time without zone is UTC: what the session is set to.
    return Text(instant_sql(f"({within})::timestamp::timestamptz"))


def _number(column: str, type_: ColumnType) -> Text:
    if type_.is_array:
        return Text(text_sql(column, type_))
    if type_.name in _NUMBERS:
        return Text(_exact(column, type_))
    if type_.name == "interval":
        return Text(_scaled(_interval_ms(column)))
    if type_.name == "time":
        return Text(_scaled(f"extract(epoch FROM {column})::numeric * 1000"))
    if type_.name == "timetz":  # in UTC, as connectors write it
        seconds = f"(extract(epoch FROM {column})::numeric + 86400) % 86400"
        return Text(_scaled(f"{seconds} * 1000"))
    return Text(text_sql(column, type_), loose=True)


def _interval_ms(column: str) -> str:
    def part(field: str) -> str:
        return f"extract({field} FROM {column})::numeric"

    months = f"({part('year')} * 12 + {part('month')}) * {_MONTH_MS}"
    days = f"{part('day')} * 86400000"
    time = f"{part('hour')} * 3600000 + {part('minute')} * 60000 + {part('second')} * 1000"
    return f"CASE WHEN isfinite({column}) THEN {months} + {days} + {time} END"


def _exact(column: str, type_: ColumnType) -> str:
    """A number with all its digits; NaN and infinity are as if there was no value."""
    if type_.name in _INTEGERS:
        return f"{column}::text"
    # A cast of a float to numeric would round to 15 digits, the text has all.
    number = f"{column}::text::numeric" if type_.name in _FLOATS else f"{column}::numeric"
    if type_.name == "money":
        return _scaled(number)
    finite = f"{column}::text NOT IN ('NaN', 'Infinity', '-Infinity')"
    return _scaled(f"CASE WHEN {finite} THEN {number} END")


def _scaled(number: str) -> str:
    return f"trim_scale({number})::text"


def _flag(column: str, type_: ColumnType) -> Text:
    text = text_sql(column, type_)
    if type_.is_array or type_.name == "bool":
        return Text(text)
    if type_.name not in _NUMBERS | {"bit"}:
        return Text(text, loose=True)
    exact = _exact(column, type_) if type_.name in _NUMBERS else text
    return Text(f"CASE {exact} WHEN '0' THEN 'false' WHEN '1' THEN 'true' ELSE {text} END")


def _list(column: str, type_: ColumnType) -> Text:
    if type_.is_array:
        return Text(f"to_jsonb({column})::text")
    if type_.name == "jsonb":
        return Text(f"nullif({column}::text, 'null')")
    return Text(text_sql(column, type_), loose=True)


def _json(column: str, type_: ColumnType) -> Text:
    whole = type_.is_array or type_.name == "hstore"
    return Text(f"to_jsonb({column})::text" if whole else f"{column}::text", loose=True)


_READERS: dict[Kind, Callable[[str, ColumnType], Text]] = {
    Kind.TIME: _time,
    Kind.NUMBER: _number,
    Kind.DURATION: _number,
    Kind.FLAG: _flag,
    Kind.LIST: _list,
    Kind.JSON: _json,
    Kind.ANY: _json,
}


def fits(type_: ColumnType, id_: str) -> bool:
    """Whether a text can be a value of an id's column: others would stop the whole statement."""
    if "\x00" in id_:
        return False
    if type_.is_array:
        return True
    if type_.name in _RANGES:
        return _WHOLE.fullmatch(id_) is not None and int(id_) in _RANGES[type_.name]
    form = _FORMS.get(type_.name)
    return form is None or form.fullmatch(id_) is not None
