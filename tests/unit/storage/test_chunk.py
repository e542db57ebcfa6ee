"""Chunks, split down to single records, lose nothing; dead letters hold anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.change import Entity
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.dead_letters.insert import dead_letter, read_headers
from tests.integration.storage.chunks import Record, chunk_of, value_of


def values(kinds: list[str]) -> list[Record]:
    made = {"good": value_of({"id": "t", "status": "done"}, seq=1), "bad": b"{", "none": None}
    return [Record(2 * n + 3, made[kind]) for n, kind in enumerate(kinds)]


def pieces(chunk: Chunk) -> list[Chunk]:
    if len(chunk.records) < 2:
        return [chunk]
    return [piece for half in chunk.split() for piece in pieces(half)]


@given(st.lists(st.sampled_from(["good", "bad", "none"]), min_size=1, max_size=20))
def test_split_to_the_end_every_record_is_in_one_piece_and_no_offset_is_left_out(
    kinds: list[str],
) -> None:
    records = values(kinds)
    chunk = chunk_of("t", Entity.TASKS, records, start=1, end=60)
    found = pieces(chunk)
    assert [piece.records[0].offset for piece in found] == [record.offset for record in records]
    assert [(p.start, p.end) for p in found] == [
        (1 if n == 0 else piece.records[0].offset, following)
        for n, (piece, following) in enumerate(
            zip(found, [*(r.offset for r in records[1:]), 60], strict=True)
        )
    ]
    assert [c for piece in found for c in piece.changes] == chunk.changes
    assert [d for piece in found for d in piece.dead] == chunk.dead


def test_a_record_is_found_by_its_offset() -> None:
    chunk = chunk_of("t", Entity.TASKS, values(["good", "bad", "good"]), start=0)
    assert chunk.record_at(5).value == b"{"


def test_the_newest_change_of_a_chunk_without_changes_is_none() -> None:
    assert chunk_of("t", Entity.TASKS, values(["bad"])).newest_change() is None


@pytest.mark.parametrize("timestamp", [None, -1, 10**18])
def test_a_dead_letter_without_a_time_that_postgres_knows_has_none(timestamp: Any) -> None:
    letter = dead_letter("t", 0, 0, Record(0, b"", timestamp=timestamp), "x", "y")
    assert letter.record_time is None


def test_a_dead_letters_time_is_the_records() -> None:
    letter = dead_letter("t", 0, 0, Record(0, b"", timestamp=1500), "x", "y")
    assert letter.record_time == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)


@given(st.text(), st.lists(st.tuples(st.text(), st.binary() | st.none()), max_size=4))
def test_whatever_the_message_and_the_headers_postgres_can_store_them(
    message: str, headers: list[tuple[str, bytes | None]]
) -> None:
    letter = dead_letter("t", 0, 0, Record(0, b"", headers=headers), "x", message + "\ud800\0")
    assert "\0" not in letter.message
    letter.message.encode()
    assert len(letter.message) <= 2000
    assert "\\u0000" not in letter.headers
    assert read_headers(letter.headers) == headers
