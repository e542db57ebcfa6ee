"""Batches of which the values are read alone: their records are aiokafka's own, of every batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.records import Records
from nova_stream.kafka.batch_records import BROKEN, BatchRecords
from nova_stream.kafka.large_batches import BoundedRecords, _BoundedResult
from nova_stream.kafka.unread_batches import Look, UnreadBatch
from nova_stream.stream.fetching import plain_partition_records

NONE, LZ4 = 0, 3
_APPEND_TIME = 0x08
_SEQ = b'{"source":{"seq":1}}'
Parts = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]

#: Around each length from which Kafka's numbers take a byte more.
lengths = st.sampled_from([0, 1, 63, 64, 65, 8191, 8192, 8193])
texts = st.binary(max_size=40) | lengths.map(lambda size: b"x" * size)
headers = st.lists(st.tuples(st.text(max_size=8), st.none() | texts), max_size=3)
records = st.lists(
    st.tuples(st.none() | texts, st.none() | texts, headers), min_size=1, max_size=90
)
times = st.integers(-(2**40), 2**40)


def batch(
    parts: list[Parts],
    *,
    codec: int = LZ4,
    base: int = 0,
    time: Callable[[int], int] = lambda place: 1_700_000_000_000 + place,
    offset: Callable[[int], int] = lambda place: place,
    attributes: int = 0,
) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**31 - 1)
    for place, (key, value, given_) in enumerate(parts):
        assert builder.append(offset(place), time(place), key, value, given_)
    built = bytearray(builder.build())
    built[0:8] = base.to_bytes(8, "big")  # as a broker does it
    built[22] |= attributes
    return bytes(built)


def read(batches: Any) -> list[Any]:
    found: list[Any] = []
    while batches.has_next():
        found += batches.next_batch()
    return found


def told(record: Any) -> tuple[Any, ...]:
    """All that aiokafka tells of a record."""
    return (
        record.offset,
        record.timestamp,
        record.timestamp_type,
        record.key,
        record.value,
        list(record.headers),
        record.checksum,
    )


async def values_of(data: bytes) -> Records:
    batches, found = BoundedRecords(data), Records()
    batches.unread = True
    while batches.has_next():
        look = list(batches.next_batch())
        for one in look:
            if type(one) is UnreadBatch:
                one.start = -(2**31)  # all of it: a damaged offset may be below 0
        found.extend(await Look(look, len(look)).read())
    return found


async def assert_same(data: bytes) -> Records:
    found = await values_of(data)
    as_aiokafka = read(MemoryRecords(data))
    assert (found.offsets, found.values) == (
        [record.offset for record in as_aiokafka],
        [record.value for record in as_aiokafka],
    )
    assert [told(record) for record in found] == [told(record) for record in as_aiokafka]
    assert not found.bare or not any(record.headers for record in as_aiokafka)
    assert [told(record) for record in read(BoundedRecords(data))] == [told(r) for r in as_aiokafka]
    return found


@given(
    parts=records,
    codec=st.sampled_from(range(5)),
    base=st.integers(0, 2**40),
    moments=st.lists(times, min_size=90, max_size=90),
    attributes=st.sampled_from([0, _APPEND_TIME]),
    seq=st.booleans(),
)
async def test_every_record_is_as_aiokafka_reads_it(
    parts: list[Parts], codec: int, base: int, moments: list[int], attributes: int, seq: bool
) -> None:
    if seq:
        parts = [(parts[0][0], _SEQ, parts[0][2]), *parts[1:]]
    data = batch(parts, codec=codec, base=base, time=moments.__getitem__, attributes=attributes)
    await assert_same(data)
    await assert_same(data + batch(parts[:1], base=base + len(parts)))


@given(parts=records, steps=st.lists(st.integers(1, 300), min_size=90, max_size=90))
async def test_batches_that_lack_offsets(parts: list[Parts], steps: list[int]) -> None:
    await assert_same(batch(parts, offset=lambda place: sum(steps[:place])))


@given(parts=records, data=st.data())
async def test_a_damaged_batch_gives_no_other_value(
    parts: list[Parts], data: st.DataObject
) -> None:
    good = batch([(parts[0][0], _SEQ, parts[0][2]), *parts[1:]], codec=NONE)
    place = data.draw(st.integers(61, len(good) - 1))
    damaged = bytearray(good)
    damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        as_aiokafka = read(MemoryRecords(bytes(damaged)))
    except (CorruptRecordException, ValueError):
        return  # by its sum, long before anybody would read a record of it
    found = await values_of(bytes(damaged))
    assert found.offsets == [record.offset for record in as_aiokafka]
    assert found.values == [record.value for record in as_aiokafka]


HEADERS: list[tuple[str, bytes | None]] = [("ce_id", b"1"), ("none", None), ("ce_id", b"\xff")]


@pytest.mark.parametrize(
    ("parts", "alone"),
    [
        ([(b"k", _SEQ, HEADERS)] * 200, True),
        ([(b"k", b"{}", [])] * 200, True),
        ([(b"k" * 300, _SEQ, [])], True),
        ([(b"k", None, [])], True),
        # Without a version in the value, whoever reads it asks for the headers.
        ([(b"k", b"{}", HEADERS)], False),
        ([(b"k", None, HEADERS)], False),
    ],
)
@pytest.mark.parametrize("codec", range(5))
async def test_headers_that_nobody_asks_for_are_not_read(
    parts: list[Parts], alone: bool, codec: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = batch(parts, codec=codec, base=7)
    await assert_same(data)
    asked: list[int] = []

    def record(batch: BatchRecords, number: int, value: bytes | None) -> Any:
        asked.append(number)
        return read_one(batch, number, value)

    read_one = BatchRecords.record
    monkeypatch.setattr(BatchRecords, "record", record)
    found = await values_of(data)
    assert found.bare == (alone and not parts[0][2])
    assert asked == []
    assert told(found[-1]) == told(read(MemoryRecords(data))[-1])
    assert asked == [len(parts) - 1] * alone


@given(parts=records, codec=st.sampled_from(range(5)), data=st.data())
async def test_records_may_be_asked_for_in_any_order(
    parts: list[Parts], codec: int, data: st.DataObject
) -> None:
    parts = [(parts[0][0], _SEQ, parts[0][2]), *parts[1:]]
    whole = batch(parts, codec=codec, base=7)
    as_aiokafka = [told(record) for record in read(MemoryRecords(whole))]
    found = await values_of(whole)
    for place in data.draw(st.lists(st.integers(0, len(parts) - 1), max_size=8)):
        assert told(found[place]) == as_aiokafka[place]
        if data.draw(st.booleans()):
            found.forget()


@pytest.mark.parametrize("seq", [True, False])
async def test_a_record_that_is_damaged_behind_its_value_stops_no_other(seq: bool) -> None:
    """Behind a right sum; aiokafka reads none of its batch."""
    value = _SEQ if seq else b"{}"
    good = batch([(b"k%d" % n, value, [("name", b"1")] * seq) for n in range(200)], codec=NONE)
    behind = good.index(value, good.index(b"k77")) + len(value)
    damaged = bytearray(good)
    damaged[behind] ^= 0x40  # more headers than there are
    bad = checked(bytes(damaged))
    with pytest.raises((CorruptRecordException, ValueError)):
        read(MemoryRecords(bad))
    found = await values_of(bad)
    assert found.values == [value] * 200
    for place, record in enumerate(found):
        assert record.offset == place
        if place == 77:
            assert record.value == BROKEN + bad
        else:
            assert told(record) == told(read(MemoryRecords(good))[place])


@pytest.mark.parametrize("count", [63, 64, 65, 8191, 8192, 8193, 9000])
async def test_batches_of_many_records(count: int) -> None:
    found = await assert_same(batch([(b"", _SEQ, [])] * count, base=5))
    assert found.offsets == list(range(5, 5 + count))


def checked(data: bytes) -> bytes:
    """A batch whose sum is right again."""
    total = int(calc_crc32c(data[21:]))
    return data[:17] + total.to_bytes(4, "big") + data[21:]


@pytest.mark.parametrize("last", [-1, 0, 5])
async def test_a_batch_that_compaction_has_left_empty_gives_nothing(last: int) -> None:
    header = bytearray(batch([(b"k", _SEQ, [])], codec=NONE, base=7)[:61])
    header[8:12] = (len(header) - 12).to_bytes(4, "big")
    header[23:27] = last.to_bytes(4, "big", signed=True)
    header[57:61] = bytes(4)
    empty = checked(bytes(header))
    assert len(await assert_same(empty)) == 0
    behind = await assert_same(empty + batch([(b"k", _SEQ, [])], base=7 + last + 1))
    assert behind.offsets == [7 + last + 1]


@pytest.mark.parametrize("value", [_SEQ, b"{}", None])
@pytest.mark.parametrize("place", [0, 1, 199])
async def test_a_header_whose_name_is_no_text_stops_nobody(value: bytes | None, place: int) -> None:
    """Kafka takes any bytes for a name, and so do some clients; aiokafka then reads no batch."""
    parts: list[Parts] = [(b"k%d" % n, value, [("name", b"1"), ("x", None)]) for n in range(200)]
    good = batch(parts, codec=NONE, base=7)
    cut = good.index(b"k%d" % place)
    bad = checked(good[:cut] + good[cut:].replace(b"name", b"n\xffme", 1))
    with pytest.raises(UnicodeDecodeError):
        read(MemoryRecords(bad))
    expected = [told(record) for record in read(MemoryRecords(good))]
    expected[place] = (*expected[place][:5], [("n\ufffdme", b"1"), ("x", None)], None)
    assert [told(record) for record in read(BoundedRecords(bad))] == expected
    assert [told(record) for record in await values_of(bad)] == expected


@pytest.mark.parametrize("value", [_SEQ, b"{}"])
def test_one_look_takes_no_more_of_many_compressed_batches_than_of_a_large_one(
    value: bytes,
) -> None:
    parts: list[Parts] = [(b"k", value + b" " * 100_000, [("name", b"1")])] * 100
    data = b"".join(batch(parts, codec=1, base=100 * number) for number in range(5))
    result, _ = fetched(data, 4_000_000)
    looks = []
    while result.has_more():
        looks.append(result.getall(4000))
    assert [record.offset for look in looks for record in look] == list(range(500))
    assert max(len(look) for look in looks) <= 101


def fetched(
    data: bytes, most: int, kind: type = fetcher.PartitionRecords, start: int = 0
) -> tuple[Any, SimpleNamespace]:
    """What a fetch from ``start`` brought, and aiokafka's state of the partition."""
    tp, state = TopicPartition("t", 0), SimpleNamespace(paused=False, position=start)
    state.consumed_to = lambda position: setattr(state, "position", position)
    result = type("Result", (_BoundedResult,), {"most": most})(
        tp,
        assignment=SimpleNamespace(active=True, state_value=lambda _: state),
        partition_records=kind(tp, BoundedRecords(data), [], start, None, None, True, 0),
        backoff=0,
    )
    return result, state


@given(
    batches=st.lists(
        st.tuples(records, st.booleans(), st.sampled_from([NONE, 1, LZ4])), min_size=1, max_size=6
    ),
    gaps=st.lists(st.integers(1, 3), min_size=90, max_size=90),
    gapped=st.integers(-1, 5),
    before=st.integers(0, 200),
    most=st.integers(1, 200),
    most_bytes=st.sampled_from([1, 5000, 10**6]),
)
async def test_batches_that_wait_unread_give_the_records_from_where_reading_began(
    batches: list[tuple[list[Parts], bool, int]],
    gaps: list[int],
    gapped: int,
    before: int,
    most: int,
    most_bytes: int,
) -> None:
    data, base = b"", 0
    for number, (parts, seq, codec) in enumerate(batches):
        places = list(accumulate(gaps)) if number == gapped else list(range(len(parts)))
        given_ = [(parts[0][0], _SEQ, parts[0][2]), *parts[1:]] if seq else parts
        data += batch(given_, codec=codec, base=base, offset=places.__getitem__)
        base += places[len(parts) - 1] + 1
    start = min(before, base - 1)
    result, state = fetched(data, most_bytes, plain_partition_records({"t"}), start)
    found: list[Any] = []
    while result.has_more():
        look = result.getall(most)
        assert len(look) <= most  # or aiokafka fails
        if look:
            found += await look.read()
            assert state.position > found[-1].offset
    as_aiokafka = fetcher.PartitionRecords(
        TopicPartition("t", 0), MemoryRecords(data), [], start, None, None, True, 0
    )
    assert [told(record) for record in found] == [told(record) for record in as_aiokafka]
    assert state.position == as_aiokafka.next_fetch_offset == base


@pytest.mark.parametrize("value", [b"", None, _SEQ])
@pytest.mark.parametrize("count", [3999, 4000, 4001, 8193, 50_000])
async def test_a_look_has_few_records_of_a_batch_of_many(value: bytes | None, count: int) -> None:
    result, _ = fetched(batch([(None, value, [])] * count), 10**9, plain_partition_records({"t"}))
    sizes = []
    while result.has_more():
        sizes.append(len(await result.getall(1000).read()))
    assert sum(sizes) == count
    assert max(sizes) <= 4000


@pytest.mark.parametrize("value", [_SEQ, b"{}"])
@pytest.mark.parametrize("count", [1, 100, 4000])
async def test_others_have_their_turns_while_batches_are_read(value: bytes, count: int) -> None:
    parts: list[Parts] = [(b"k", value, [("name", b"1")])] * count
    data = b"".join(batch(parts, base=count * number) for number in range(8000 // count))
    result, _ = fetched(data, 10**9, plain_partition_records({"t"}))
    reading = asyncio.create_task(result.getall(10**6).read())
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(await reading) == 8000
    assert 8 <= turns <= 20


def test_records_of_other_topics_are_aiokafkas_own() -> None:
    """Faust's tables are read by the same consumer."""
    result, _ = fetched(batch([(b"k", _SEQ, [])] * 3), 10**6, plain_partition_records({"other"}))
    assert [record.topic for record in result.getall()] == ["t"] * 3
