"""Batches of records that are large when decompressed, read in bounded memory.

aiokafka decompresses a batch as a whole: 300 kB of gzip can be 315 MB. Batches that stay below
``WHOLE_BYTES`` are left to it; larger ones are read a record at a time while they are decompressed.
What cannot be read that way stands as one record that no decoder takes, so that it comes to the
dead letters: a line of text (``LARGE``), and behind it the batch's bytes as Kafka keeps them.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from nova_stream.events.records import Records
from nova_stream.kafka import inflate
from nova_stream.kafka.batch_records import BROKEN, BatchHeader, BatchRecords, Record
from nova_stream.kafka.pieces import CODEC, HEADER, Pieces
from nova_stream.kafka.unread_batches import STEP, UNREAD_RECORDS, Look, UnreadBatch
from nova_stream.kafka.value_batch import HeadersError, ValueBatch, decompressed

#: A batch that has no more when decompressed is decompressed at once.
WHOLE_BYTES = 16 * 1024 * 1024
#: A record of a batch is not larger; Kafka's own bound of a batch is 1 MB, the topics' 10 MB.
RECORD_BYTES = 32 * 1024 * 1024
#: What the value of a record that stands for a batch begins with.
LARGE = b"nova-stream: a record batch, too large when decompressed\n"
#: What has no bytes with it: they are with the batch's first such record.
_AGAIN = b"nova-stream: too large, the batch is kept with an earlier record of it\n"

_SLICE = 64 * 1024
_FAULTS = (
    zlib.error,
    cramjam.DecompressionError,
    ValueError,
    struct.error,
    IndexError,
    OSError,
)


class BoundedRecords:
    """What aiokafka's MemoryRecords is: the batches of one fetch."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = memoryview(data)
        self._at = 0
        #: Whether values are read alone; where one batch's headers are asked for, so are those of
        #: the next.
        self.values_alone = True
        #: Bytes of records that batches have given since somebody set this to 0.
        self.given = 0
        #: Whether a batch comes as one ``UnreadBatch`` where its values can be read alone.
        self.unread = False

    def size_in_bytes(self) -> int:
        """Bytes that were fetched."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Whether there is another batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        """The next batch, None behind the last."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        end = self._at + 12 + int(struct.unpack_from(">i", self._data, self._at + 8)[0])
        raw, self._at = self._data[self._at : end], end
        return batch if raw[16] < 2 else self._bounded(batch, raw)

    def _bounded(self, batch: Any, raw: memoryview) -> Any:
        codec, data = batch.compression_type, raw[HEADER.size :]
        try:
            if not codec or inflate.most_bytes(codec, data) <= WHOLE_BYTES:
                return _WholeBatch(batch, raw, self)
        except _FAULTS:
            pass  # it is read below, and told as what it is
        return _LargeBatch(batch, raw, self)


def kept_records(value: bytes) -> Iterator[Any]:
    """The records of the batch that such a record has with it, decompressed as a whole.

    Raises ValueError where there is none with it, or it cannot be decompressed.
    """
    line, _, raw = value.partition(b"\n")
    if line + b"\n" not in {LARGE, BROKEN}:
        raise ValueError("it is one record")
    try:
        batch = MemoryRecords(raw).next_batch()
        if batch is None:
            raise ValueError("cut off")
        yield from _WholeBatch(batch, memoryview(raw), BoundedRecords(raw))
    except (*_FAULTS, KafkaError) as error:
        raise ValueError(f"its batch cannot be decompressed ({type(error).__name__})") from None


class _BoundedResult(fetcher.FetchResult):  # type: ignore[misc]
    """What one fetch brought; of a large batch so much at a time as memory is there for."""

    most = 0

    def getall(self, max_records: int | None = None) -> list[Any] | Look:
        """The next records, as aiokafka does it, and fewer of a large batch."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        fetched: list[Any] = []
        count = 0
        records: Any = self._partition_records
        batches: BoundedRecords = records._records
        batches.given = 0
        limit = sys.maxsize if max_records is None else max_records
        # Not by the object that stands in front of it, which costs a call a record.
        for record in records._records_iterator:
            fetched.append(record)
            count += record.count if type(record) is UnreadBatch else 1
            if count >= limit or batches.given >= self.most:
                self._update_position()
                break
        else:
            self._update_position()
            self._partition_records: Any = None
        return Look(fetched, min(count, limit)) if batches.unread else fetched


def bound_batches(most: int) -> None:
    """Have every consumer of this process read large batches in bounded memory, up to ``most``
    bytes of their records at a time. aiokafka offers no place to say so for one consumer.
    """
    fetcher.MemoryRecords = BoundedRecords
    fetcher.FetchResult = type("BoundedResult", (_BoundedResult,), {"most": most})


class _WholeBatch:
    """A batch that is decompressed at once; all but its records is aiokafka's."""

    def __init__(self, batch: Any, raw: memoryview, owner: BoundedRecords) -> None:
        self._batch = batch
        self._raw = raw
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)  # of a control batch, which is small

    def __iter__(self) -> Iterator[Any]:
        if self._owner.unread and (batch := self._decompressed()) is not None:
            self._owner.given += batch.size
            return iter((UnreadBatch(self.next_offset - 1, batch, self.read),))
        return self._by_aiokafka(self._batch, self._raw)

    async def read(self, batch: ValueBatch) -> Records:
        """Its records, the values alone if that can be; of many, others have their turns in
        between.
        """
        values: list[bytes | None] = []
        while self._add_values(batch, values):
            if len(values) == batch.count:
                offsets = list(range(batch.base, batch.base + batch.count))
                unread = BatchRecords(bytes(self._raw), batch.count, bare=batch.bare)
                return Records(offsets, values, unread)
            await asyncio.sleep(0)
        records: list[Any] = []
        for record in self._by_aiokafka(self._batch, self._raw):
            records.append(record)
            if len(records) % STEP == 0:
                await asyncio.sleep(0)
        return Records.of(records)

    def _decompressed(self) -> ValueBatch | None:
        """The batch to read the values of; None where it is to be read as aiokafka does it."""
        if not self._owner.values_alone:
            return None
        try:
            return ValueBatch(self._raw, UNREAD_RECORDS)
        except _FAULTS:
            return None

    def _add_values(self, batch: ValueBatch, values: list[bytes | None]) -> bool:
        """Add some more; False where all is to be read as aiokafka does it."""
        try:
            batch.read(values, STEP)
        except HeadersError:
            self._owner.values_alone = False
            return False
        except _FAULTS:
            return False
        return True

    def _by_aiokafka(self, batch: Any, raw: memoryview) -> Iterator[Any]:
        """The records as aiokafka reads them; it reads none whose header's name is no UTF-8."""
        given = 0
        try:
            for record in batch:
                self._owner.given += len(record.value or b"")
                yield record
                given += 1
        except UnicodeDecodeError:
            records = self._one_by_one(Pieces.of(decompressed(raw)))
            yield from islice(records, given, None)

    def _one_by_one(self, stream: Pieces) -> Iterator[Record]:
        header = BatchHeader.of(self._raw)
        kept = False
        for _ in range(header.records):
            length = stream.varint()
            if length > RECORD_BYTES:
                offset, time = header.place(Pieces.of(stream.take(_SLICE)))
                stream.skip(length - _SLICE)
                value = _AGAIN if kept else LARGE + bytes(self._raw)
                kept = True
                yield Record(offset, time, header.time_kind, None, value, [])
                continue
            record = header.record(Pieces.of(stream.take(length)))
            self._owner.given += length
            yield record


class _LargeBatch(_WholeBatch):
    """A batch whose records are read while it is decompressed."""

    def __iter__(self) -> Iterator[Any]:
        codec, data = self._batch.compression_type, self._raw[HEADER.size :]
        try:
            if not inflate.in_pieces(codec, data):
                yield self._whole(LARGE)
                return
            stream = inflate.pieces(codec, data)
            begin, size = [], 0
            for piece in stream:
                begin.append(piece)
                size += len(piece)
                if size > WHOLE_BYTES:
                    break
            else:
                yield from self._at_once(b"".join(begin))
                return
            yield from self._one_by_one(Pieces(begin, stream))
        except _FAULTS:
            yield self._whole(BROKEN)

    def _at_once(self, data: bytes) -> Iterator[Any]:
        """Its records by aiokafka's own code, which gets it as a batch without compression."""
        header = list(HEADER.unpack_from(self._raw))
        header[1] = HEADER.size - 12 + len(data)
        header[5] &= ~CODEC
        raw = HEADER.pack(*header) + data
        return self._by_aiokafka(DefaultRecordBatch(raw), memoryview(raw))

    def _whole(self, why: bytes) -> Record:
        # At its last offset: reading may begin in the midst of a batch.
        batch = self._batch
        return Record(
            batch.next_offset - 1,
            batch.max_timestamp,
            batch.timestamp_type,
            None,
            why + bytes(self._raw),
            [],
        )
