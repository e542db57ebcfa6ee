"""Headers of a dead letter are kept as the record had them."""

from __future__ import annotations

import json
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from nova_stream.storage.dead_letters.insert import RecordHeader, dead_letter, read_headers

NAMES = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["a", "A", "", "\0"])
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=8)), max_size=6)


class Record(NamedTuple):
    """A record that could not be applied."""

    headers: list[RecordHeader]
    offset: int = 1
    key: bytes | None = None
    value: bytes | None = None
    timestamp: int = 0


@example([("x", None), ("x", b""), ("x", b"1"), ("x", b"1"), ("", b"no name"), ("a\0b", None)])
@example([("\udc80", None)])
@given(HEADERS)
def test_nulls_doubles_order_and_names_survive(headers: list[RecordHeader]) -> None:
    stored = dead_letter("t", 0, 0, Record(headers), "test", "m").headers
    assert read_headers(stored) == headers
    assert "\\u0000" not in stored  # which Postgres does not take
    stored.encode()


def test_letters_that_were_stored_before_are_read() -> None:
    assert read_headers(json.dumps([["a", "MQ=="], ["b", ""]])) == [("a", b"1"), ("b", b"")]
