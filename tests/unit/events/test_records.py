"""Records side by side are what a list of them is, whoever reads them and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.change import SourceRecord
from nova_stream.events.records import Records, offsets_of, values_of


class Record(NamedTuple):
    offset: int
    value: bytes | None = b"x"
    key: bytes | None = b"k"
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class Batch:
    kept = 7

    def __init__(self, records: Sequence[SourceRecord], *, bare: bool) -> None:
        self.records = records
        self.count = len(records)
        self.bare = bare
        self.forgotten = 0

    def record(self, number: int, value: bytes | None) -> SourceRecord:
        record = self.records[number]
        assert record.value is value
        return record

    def forget(self) -> None:
        self.forgotten += 1


def unread(records: Sequence[SourceRecord], *, bare: bool = False) -> Records:
    values = [record.value for record in records]
    return Records([record.offset for record in records], values, Batch(records, bare=bare))


slices = st.builds(
    slice,
    st.none() | st.integers(-40, 40),
    st.none() | st.integers(-40, 40),
    st.none() | st.sampled_from([-3, -1, 1, 2, 5]),
)


@given(
    fetches=st.lists(
        st.tuples(st.booleans(), st.lists(st.none() | st.binary(max_size=3), max_size=9)),
        max_size=6,
    ),
    cuts=st.lists(slices, max_size=3),
    places=st.lists(st.integers(0, 60), max_size=5),
)
def test_they_are_what_a_list_is(
    fetches: list[tuple[bool, list[bytes | None]]], cuts: list[slice], places: list[int]
) -> None:
    found, expected = Records(), list[SourceRecord]()
    for read, values in fetches:
        some = [Record(len(expected) + n, value) for n, value in enumerate(values)]
        found.extend(Records.of(some) if read else unread(some))
        expected += some
    for cut in cuts:
        found, expected = found[cut], expected[cut]
    assert len(found) == len(expected)
    assert found.offsets == offsets_of(found) == offsets_of(expected)
    assert found.values == values_of(found) == values_of(expected)
    assert list(found) == expected
    for place in places:
        if place < len(expected):
            assert found[place] == expected[place]
            assert found[-1 - place] == expected[-1 - place]
    found.forget()
    assert list(found) == expected


def test_a_place_that_is_none_is_an_error() -> None:
    found = unread([Record(3)])
    for place in (1, -2):
        with pytest.raises(IndexError):
            found[place]
    with pytest.raises(IndexError):
        Records()[0]


def test_what_follows_in_another_chunk_is_not_forgotten() -> None:
    records = [Record(0), Record(1), Record(2)]
    batch = Batch(records, bare=False)
    found = Records([0, 1, 2], [record.value for record in records], batch)
    first, second = found[:2], found[2:]
    first.forget()
    assert batch.forgotten == 0
    second.forget()
    assert batch.forgotten == 1


def test_only_what_is_known_to_have_no_headers_is_bare() -> None:
    found = unread([Record(0)], bare=True)
    assert found.bare
    found.extend(unread([Record(1)], bare=False))
    assert (found.bare, found[:1].bare, found[1:].bare) == (False, True, False)
    assert not Records.of([Record(0)]).bare
