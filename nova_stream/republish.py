"""Dead letters published again: the original records, with the versions that they had."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, TypeVar

import msgspec

from nova_stream.errors import RejectedError, SchemaNeededError, UsageError
from nova_stream.events.change import Origin, Version, VersionKind, header
from nova_stream.events.envelope import VERSION_HEADER, open_envelope
from nova_stream.events.forms import Forms
from nova_stream.events.record_version import StatedVersion, origin_header, version_of
from nova_stream.events.tombstones import tombstone_envelope
from nova_stream.events.versions import generation_number
from nova_stream.kafka.large_batches import kept_records
from nova_stream.publish.raw import RawPublisher, RawRecord
from nova_stream.registry.schemas import Schemas
from nova_stream.settings import Settings
from nova_stream.storage.dead_letters.store import DeadLetterStore, OriginalRecord, SourceOffsets

#: Records in memory at a time: each may have 10 MB.
_AT_ONCE = 20
_Item = TypeVar("_Item")


async def republish(settings: Settings, store: DeadLetterStore, ids: Sequence[int]) -> None:
    """Publish the original records again, with their original versions, so that they can never
    overwrite something newer, and mark the letters as retried.

    Each is marked when it is in Kafka: after an error, republish again. Raises UsageError,
    KafkaUnavailableError, PublishError, TopicError, RegistryUnavailableError.
    """
    await store.require(ids)
    async with _publishing(settings, store) as publish:
        for some in _groups(sorted(ids)):
            await publish(await store.originals(some))
            await store.mark_retried(some)


async def unpack(settings: Settings, store: DeadLetterStore, number: int) -> int:
    """Publish the records of a batch that was kept as one letter, one by one and with their own
    versions, and mark the letter as retried; gives how many records. In memory is the whole batch.

    Raises UsageError for a letter without a batch that can be read, and what ``republish`` does.
    """
    await store.require([number])
    (letter,) = await store.originals([number])
    count = 0
    async with _publishing(settings, store) as publish:
        try:
            for some in _groups(kept_records(letter.value or b"")):
                await publish([_part(letter, record) for record in some])
                count += len(some)
        except ValueError as error:
            raise UsageError(
                f"dead letter {number} cannot be unpacked: {error}; see: nova-stream dead-letters "
                f"show {number}"
            ) from None
    await store.mark_retried([number])
    return count


def _part(letter: OriginalRecord, record: Any) -> OriginalRecord:
    return msgspec.structs.replace(
        letter,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
        timestamp=record.timestamp,
    )


@asynccontextmanager
async def _publishing(
    settings: Settings, store: DeadLetterStore
) -> AsyncIterator[Callable[[Sequence[OriginalRecord]], Awaitable[None]]]:
    async with RawPublisher(settings) as publisher, _versions(settings) as version_of_record:

        async def publish(originals: Sequence[OriginalRecord]) -> None:
            sources = await store.sources([original.topic for original in originals])
            await publisher.send(
                [
                    versioned(original, await version_of_record(original), sources)
                    for original in originals
                ]
            )

        yield publish


def versioned(
    original: OriginalRecord, stated: StatedVersion | None, sources: SourceOffsets
) -> RawRecord:
    """The record as it was; a header keeps the version that is its offset, or with an lsn the place
    and the generation of the source.
    """
    headers = list(original.headers)
    if stated is None:
        pass
    elif stated.kind is VersionKind.OFFSET and header(headers, VERSION_HEADER) is None:
        number = generation_number(original.offset, original.generation)
        headers.append((VERSION_HEADER, f"offset:{number}".encode()))
    elif stated.kind is VersionKind.LSN:
        place = stated.origin or Origin(original.generation, original.partition, original.offset, 0)
        begins = sources.get((original.topic, place.generation, place.partition), ())
        origin = place._replace(source_generation=bisect_right(begins, place.offset))
        headers = [(name, value) for name, value in headers if name != VERSION_HEADER]
        headers.append(origin_header(origin))
    return RawRecord(original.topic, original.partition, original.key, original.value, headers)


def stated_version(original: OriginalRecord, forms: Forms) -> StatedVersion | None:
    """What the record says of its version, an offset where that cannot be told; None when it
    changes nothing. Raises SchemaNeededError.
    """
    value, headers = original.value, original.headers
    try:
        envelope = tombstone_envelope(value, headers, forms)
        if envelope is None and value is not None:
            envelope = open_envelope(value, headers, forms)
        return None if envelope is None else version_of(envelope, original)
    except RejectedError:
        return StatedVersion(VersionKind.OFFSET, Version(original.offset))


@asynccontextmanager
async def _versions(
    settings: Settings,
) -> AsyncIterator[Callable[[OriginalRecord], Awaitable[StatedVersion | None]]]:
    """``stated_version``, with the schemas that a record needs for it."""
    schemas = Schemas(settings) if settings.schema_registry_url is not None else None
    forms = Forms(prefix=settings.flattened_prefix, schemas=schemas)

    async def stated(original: OriginalRecord) -> StatedVersion | None:
        while True:
            try:
                return stated_version(original, forms)
            except SchemaNeededError as needed:
                assert schemas is not None  # only then is one asked for
                await schemas.fetch(needed.reference)

    try:
        yield stated
    finally:
        if schemas is not None:
            await schemas.close()


def _groups(given: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(given)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
