"""Batches that are large when decompressed: every record is read, in bounded memory."""

from __future__ import annotations

import random
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.kafka import inflate, large_batches
from nova_stream.kafka.batch_records import BROKEN
from nova_stream.kafka.large_batches import LARGE, WHOLE_BYTES, BoundedRecords, kept_records

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
Parts = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def batch(codec: int, records: list[Parts], base: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**31 - 1)
    for offset, (key, value, headers) in enumerate(records):
        assert builder.append(offset, 1_700_000_000_000 + offset, key, value, headers)
    built = bytearray(builder.build())
    built[0:8] = base.to_bytes(8, "big")  # as a broker does it
    return bytes(built)


def read(data: bytes) -> list[Any]:
    records, found = BoundedRecords(data), []
    while records.has_next():
        found += list(records.next_batch())
    return found


def parts_of(record: Any) -> tuple[Any, ...]:
    return record.offset, record.timestamp, record.key, record.value, list(record.headers)


MEGABYTE = b'{"x":"' + b"a" * 1_000_000 + b'"}'


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_every_record_of_a_large_batch_is_read_in_bounded_memory(codec: str) -> None:
    data = batch(CODECS[codec], [(b"k%d" % n, MEGABYTE, []) for n in range(100)], base=70)

    tracemalloc.start()
    records, count = BoundedRecords(data), 0
    for record in records.next_batch():
        assert (record.offset, record.key) == (70 + count, b"k%d" % count)
        assert record.value == MEGABYTE
        count += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 100
    assert peak < 3 * WHOLE_BYTES


def with_window(data: bytes, megabytes: int) -> bytes:
    """The batch of zstd with another window, as the highest levels have it."""
    assert data[61:65] == b"\x28\xb5\x2f\xfd"
    assert not data[65] & 0x20  # else the frame has no window
    exponent = (megabytes << 20).bit_length() - 1 - 10
    return data[:66] + bytes([exponent << 3]) + data[67:]


def test_a_zstd_batch_that_needs_much_memory_is_one_record_with_its_bytes() -> None:
    data = batch(CODECS["zstd"], [(b"k", MEGABYTE, [])] * 100, base=70)
    assert len(read(with_window(data, 32))) == 100
    data = with_window(data, 64)
    (record,) = read(data)
    assert (record.offset, record.key) == (169, None)
    assert record.value == LARGE + data
    kept = record.value.removeprefix(LARGE)
    assert len(cramjam.zstd.decompress(kept[61:])) > 100 * len(MEGABYTE)


def test_where_files_have_no_numbers_a_large_zstd_batch_is_one_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inflate, "_DESCRIPTORS", "/nowhere")
    data = batch(CODECS["zstd"], [(b"k", MEGABYTE, [])] * 40)
    (record,) = read(data)
    assert record.value == LARGE + data


def test_a_zstd_batch_that_is_left_in_its_midst_leaves_nothing_behind() -> None:
    def left() -> tuple[int, int]:
        threads = [thread for thread in threading.enumerate() if thread.name == "zstd"]
        return len(threads), len(list(Path("/dev/fd").iterdir()))

    data = batch(CODECS["zstd"], [(b"k", MEGABYTE, [])] * 60)
    before = left()
    for taken in (1, 20, 59):
        records = iter(BoundedRecords(data).next_batch())
        for _ in range(taken):
            next(records)
        del records
    for _ in range(1000):
        if left() == before:
            break
        time.sleep(0.01)
    assert left() == before


def test_a_zstd_batch_that_breaks_in_its_midst_says_so_behind_what_was_read() -> None:
    noise = random.Random(1).randbytes(1_000_000)
    data = bytearray(batch(CODECS["zstd"], [(b"k", noise, [])] * 40))
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    found = read(bytes(data))
    assert found[-1].value in {BROKEN + bytes(data), LARGE + bytes(data)}


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_batch_below_the_bound_is_read_as_ever(codec: str) -> None:
    parts: list[Parts] = [(b"k%d" % n, MEGABYTE[:5000], [("h", b"v")]) for n in range(500)]
    found = read(batch(CODECS[codec], parts))
    assert [parts_of(record)[2:] for record in found] == [(k, v, h) for k, v, h in parts]


def test_a_record_beyond_its_bound_stands_for_itself_and_the_others_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large_batches, "RECORD_BYTES", 5_000_000)
    huge = b"b" * 20_000_000
    data = batch(1, [(b"a", b"1", []), (b"b", huge, []), (b"c", huge, []), (b"d", b"2", [])])
    first, second, third, fourth = read(data)
    assert [r.offset for r in (first, second, third, fourth)] == [0, 1, 2, 3]
    assert (first.value, fourth.value) == (b"1", b"2")
    assert second.value == LARGE + data
    assert third.value not in {None, huge}
    assert len(third.value) < 100


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_batch_that_cannot_be_decompressed_is_one_record_with_its_bytes(codec: str) -> None:
    data = batch(CODECS[codec], [(b"k", MEGABYTE, [])] * 40)
    data = data[:61] + b"\xff" * (len(data) - 61)
    (record,) = read(data)
    assert record.offset == 39
    assert record.value in {BROKEN + data, LARGE + data}


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_the_records_of_a_kept_batch_are_those_that_were_sent(codec: str) -> None:
    data = batch(CODECS[codec], [(b"k1", MEGABYTE, [("h", b"v")]), (b"k2", None, [])], base=70)
    assert [parts_of(record) for record in kept_records(LARGE + data)] == [
        (70, 1_700_000_000_000, b"k1", MEGABYTE, [("h", b"v")]),
        (71, 1_700_000_000_001, b"k2", None, []),
    ]


@pytest.mark.parametrize("value", [b"", b"{}", BROKEN, LARGE + b"\0" * 70, BROKEN + b"x\n" * 50])
def test_what_has_no_batch_with_it_says_so(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is one record|cannot be decompressed"):
        list(kept_records(value))


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_kept_batch_that_is_damaged_says_so(codec: str) -> None:
    data = batch(CODECS[codec], [(b"k", MEGABYTE, [])] * 2)
    for cut in (data[:70], data[:61] + b"\xff" * (len(data) - 61)):
        with pytest.raises(ValueError, match="cannot be decompressed"):
            list(kept_records(BROKEN + cut))


@given(
    st.sampled_from(sorted(CODECS)),
    st.lists(
        st.tuples(
            st.none() | st.binary(max_size=40),
            st.none() | st.binary(max_size=4000),
            st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=3),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 2**40),
)
def test_both_ways_of_reading_give_the_same_records(
    codec: str, parts: list[Parts], base: int
) -> None:
    data = batch(CODECS[codec], parts, base)
    as_ever = [parts_of(record) for record in read(data)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_batches, "WHOLE_BYTES", 0)
        found = read(data)
    assert [parts_of(record) for record in found] == as_ever


@given(st.sampled_from(sorted(CODECS)), st.binary(max_size=300_000))
def test_the_size_that_a_batch_may_have_is_never_below_what_it_has(codec: str, data: bytes) -> None:
    raw = memoryview(batch(CODECS[codec], [(None, data, [])]))[61:]
    size = sum(len(piece) for piece in inflate.pieces(CODECS[codec], raw))
    assert size <= inflate.most_bytes(CODECS[codec], raw)
