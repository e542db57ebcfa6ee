"""What Debezium writes for a large column that did not change, in columns of every type.

The connector's ``unavailable.value.placeholder`` stands as text, as bytes, as the only element of
a list (as a UUID made of it in ``uuid[]``), as the list of its bytes in lists of numbers and
dates, and as the only entry of an hstore, which is a map or JSON text.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from hashlib import md5
from json import dumps
from typing import Any
from uuid import UUID

DEFAULT = "__debezium_unavailable_value"
_HEX = "hex:"
_NEVER_ESCAPED = re.compile(r"[ !#-.0-\[\]-~]*")


class Placeholders:
    """The forms of the default placeholder, and of the connector's own where it has one."""

    def __init__(self, own: str | None = None) -> None:
        """``own`` is the value of ``unavailable.value.placeholder``, also in its ``hex:`` form.

        Raises ValueError when it is empty or no hexadecimal number of whole bytes.
        """
        names = dict.fromkeys((DEFAULT, DEFAULT if own is None else own))
        self._forms = forms = [_Forms(placeholder_bytes(name)) for name in names]
        self.texts = frozenset(text for form in forms for text in form.texts)
        self.elements = frozenset(text for form in forms for text in form.elements)
        self._lengths = frozenset(map(len, self.texts))
        self._bytes = tuple(form.data for form in forms)
        self._numbers = tuple(form.numbers for form in forms)
        self._first = frozenset(form.numbers[0] for form in forms)

    @property
    def own_pattern(self) -> str | None:
        """A regular expression that finds, in JSON, whatever may be the connector's own
        placeholder; None when it has the default.
        """
        if len(self._forms) == 1:
            return None
        own = self._forms[1]
        quoted = sorted(own.texts | own.elements)
        numbers = r"\[\s*" + r"\s*,\s*".join(map(str, own.numbers[:4]))
        # JSON may write these characters as an escape, in more than one way.
        escapes = [] if all(map(_NEVER_ESCAPED.fullmatch, own.elements)) else [r"\\"]
        return "|".join([*map(re.escape, quoted), numbers, *escapes])

    def stand_for(self, value: Any) -> bool:
        """Whether a value is a placeholder, so that what is known of the column stays."""
        kind = type(value)
        if kind is str:
            return len(value) in self._lengths and value in self.texts
        if kind is list and value:
            first = value[0]
            if len(value) == 1 and type(first) is str and first in self.elements:
                return True
            if type(first) is int:
                return first in self._first and value in self._numbers
            return len(value) == 1 and type(first) is bytes and first in self._bytes
        if kind is dict and len(value) == 1:
            (entry,) = value.items()
            return entry[0] == entry[1] and entry[0] in self.texts
        return kind is bytes and value in self._bytes


class _Forms:
    def __init__(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        encoded = {b64encode(data).decode(), urlsafe_b64encode(data).decode()}
        self.data = data
        self.texts = {
            text,
            *encoded,
            dumps({text: text}, ensure_ascii=False, separators=(",", ":")),
        }
        self.elements = {text, *encoded, _uuid_of(data)}
        # Java's bytes are signed.
        self.numbers = [byte - 256 if byte > 127 else byte for byte in data]


def placeholder_bytes(text: str) -> bytes:
    """The bytes that ``unavailable.value.placeholder`` stands for; raises ValueError."""
    data = bytes.fromhex(text[len(_HEX) :]) if text.startswith(_HEX) else text.encode()
    if not data:
        raise ValueError(text)
    return data


def _uuid_of(data: bytes) -> str:
    """As Java's ``UUID.nameUUIDFromBytes`` makes it: version 3, without a namespace."""
    return str(UUID(bytes=md5(data, usedforsecurity=False).digest(), version=3))


#: The default placeholder as bytes in JSON, and as a UUID.
DEFAULT_BASE64 = b64encode(DEFAULT.encode()).decode()
DEFAULT_UUID = _uuid_of(DEFAULT.encode())

#: What is recognized when no setting names another.
PLACEHOLDERS = Placeholders()
