"""Dead letters published again: the original records, with the versions that they had."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from nova_stream.errors import RejectedError, SchemaNeededError
from nova_stream.events.change import Origin, Version, VersionKind
from nova_stream.events.envelope import VERSION_HEADER, open_envelope
from nova_stream.events.forms import Forms
from nova_stream.events.headers import header
from nova_stream.events.record_version import StatedVersion, origin_header, version_of
from nova_stream.events.tombstones import tombstone_envelope
from nova_stream.events.versions import generation_number
from nova_stream.publish.raw import RawPublisher, RawRecord
from nova_stream.registry.schemas import Schemas
from nova_stream.settings import Settings
from nova_stream.storage.dead_letters.store import DeadLetterStore, OriginalRecord, SourceOffsets

#: Records in memory at a time: each may have 10 MB.
_AT_ONCE = 20


async def republish(settings: Settings, store: DeadLetterStore, ids: Sequence[int]) -> None:
    """Publish the original records again, with their original versions, so that they can never
    overwrite something newer, and mark the letters as retried.

    Each is marked when it is in Kafka: after an error, republish again. Raises UsageError,
    KafkaUnavailableError, PublishError, TopicError, RegistryUnavailableError.
    """
    await store.require(ids)
    async with RawPublisher(settings) as publisher, _versions(settings) as version_of_record:
        for some in _groups(sorted(ids)):
            originals = await store.originals(some)
            sources = await store.sources([original.topic for original in originals])
            records = [
                versioned(original, await version_of_record(original), sources)
                for original in originals
            ]
            await publisher.send(records)
            await store.mark_retried(some)


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


def _groups(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
