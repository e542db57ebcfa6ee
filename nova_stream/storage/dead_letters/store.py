"""Looking after dead letters: finding them, publishing them again, setting them aside."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from nova_stream.errors import RejectedError, SchemaNeededError, UsageError
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
from nova_stream.storage.database import Connection, open_session
from nova_stream.storage.dead_letters import sql as sql_dead_letters
from nova_stream.storage.dead_letters.insert import RecordHeader, read_headers

State = Literal["open", "retried", "discarded"]

#: Letters in memory at a time when they are published again: each may have 10 MB.
_AT_ONCE = 20
#: Letters that one statement deletes.
_BATCH = 1000


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """A dead letter without its bytes; ``size`` is the number of them, None for a null value."""

    id: int
    state: State
    topic: str
    partition: int
    offset: int
    generation: int
    reason: str
    message: str
    failed_at: datetime
    record_time: datetime | None
    attempts: int
    size: int | None


class Letter(msgspec.Struct, frozen=True):
    """A dead letter with everything that the record had."""

    listed: Listed
    key: bytes | None
    value: bytes | None
    headers: list[RecordHeader]


class _Original:
    """The record as the decoder saw it, as far as its version goes."""

    def __init__(self, letter: Letter) -> None:
        self.offset = letter.listed.offset
        self.timestamp = -1
        self.key = letter.key
        self.value = letter.value
        self.headers = letter.headers


class DeadLetterStore:
    """The dead letters of a database; ``open_store`` makes one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(
        self,
        *,
        topic: str | None = None,
        reason: str | None = None,
        state: State | None = None,
        limit: int,
    ) -> tuple[int, list[Listed]]:
        """How many there are of this kind, and the newest ``limit`` of them."""
        count: int = await self._connection.fetchval(sql_dead_letters.COUNT, topic, reason, state)
        rows = await self._connection.fetch(sql_dead_letters.LIST, topic, reason, state, limit)
        return count, [listed(row) for row in rows]

    async def read(self, ids: Sequence[int]) -> list[Letter]:
        """Whole letters, by their numbers; raises UsageError when one is not there."""
        await self.require(ids)
        return await self._letters(ids)

    async def find_one(self, id_: int) -> Letter | None:
        """A whole letter; None when there is none of this number."""
        found = await self._letters([id_])
        return found[0] if found else None

    async def _letters(self, ids: Sequence[int]) -> list[Letter]:
        rows = await self._connection.fetch(sql_dead_letters.READ, ids)
        return [Letter(listed(r), r["key"], r["value"], read_headers(r["headers"])) for r in rows]

    async def require(self, ids: Sequence[int]) -> None:
        """Raise UsageError, naming them, when there are no letters with some of these numbers."""
        rows = await self._connection.fetch(sql_dead_letters.EXISTING, ids)
        missing = sorted(set(ids) - {row["id"] for row in rows})
        if missing:
            raise UsageError(
                f"no dead letter {', '.join(map(str, missing))}; see: nova-stream dead-letters list"
            )

    async def open_by_reason(self) -> dict[str, int]:
        """How many letters are open, by reason, the most frequent first."""
        rows = await self._connection.fetch(sql_dead_letters.OPEN_BY_REASON)
        return {row["reason"]: row["number"] for row in rows}

    async def open_ids(self, reason: str | None = None) -> list[int]:
        """The numbers of all open letters, or of those with ``reason``, oldest first."""
        return [row["id"] for row in await self._connection.fetch(sql_dead_letters.OPEN, reason)]

    async def retry(self, settings: Settings, ids: Sequence[int]) -> None:
        """Publish the original records again, with their original versions, so that they can never
        overwrite something newer, and mark them.

        Each is marked when it is in Kafka: after an error, retry again. Raises UsageError,
        KafkaUnavailableError, PublishError, TopicError, RegistryUnavailableError.
        """
        await self.require(ids)
        async with RawPublisher(settings) as publisher, _versions(settings) as version_of_letter:
            for some in _groups(sorted(ids)):
                letters = await self.read(some)
                sources = await self._sources([letter.listed.topic for letter in letters])
                stated = [await version_of_letter(letter) for letter in letters]
                records = zip(letters, stated, strict=True)
                await publisher.send([_again(*record, sources) for record in records])
                await self._connection.execute(sql_dead_letters.MARK_RETRIED, some)

    async def _sources(self, topics: Sequence[str]) -> dict[tuple[str, int, int], Sequence[int]]:
        rows = await self._connection.fetch(sql_dead_letters.SOURCES, topics)
        return {(r["topic"], r["generation"], r["partition"]): r["source_offsets"] for r in rows}

    async def forget(self, before: datetime) -> int:
        """Delete letters that were retried or discarded and whose records failed before that time,
        a few at a time; gives how many. Open ones stay, however old.
        """
        total, seen = 0, _BATCH
        while seen == _BATCH:
            status = await self._connection.execute(sql_dead_letters.FORGET, before, _BATCH)
            seen = int(status.rpartition(" ")[2])
            total += seen
        return total

    async def discard(self, ids: Sequence[int]) -> None:
        """Set letters aside; their bytes are kept. Raises UsageError."""
        await self.require(ids)
        await self._connection.execute(sql_dead_letters.MARK_DISCARDED, ids)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[DeadLetterStore]:
    """The dead letters of the configured database.

    Raises DatabaseUnavailableError, SchemaVersionError.
    """
    async with open_session(settings, "dead-letters") as connection:
        yield DeadLetterStore(connection)


def listed(row: asyncpg.Record) -> Listed:
    """A letter without its bytes, from a row that has its columns."""
    return Listed(**{name: row[name] for name in Listed.__struct_fields__})


def _again(
    letter: Letter,
    stated: StatedVersion | None,
    sources: Mapping[tuple[str, int, int], Sequence[int]],
) -> RawRecord:
    """The record as it was; a header keeps the version that is its offset, or with an lsn the place
    and the generation of the source.

    ``sources`` has the offsets where those begin, by topic, its generation and partition.
    """
    headers = list(letter.headers)
    listed = letter.listed
    if stated is None:
        return RawRecord(listed.topic, listed.partition, letter.key, letter.value, headers)
    if stated.kind is VersionKind.OFFSET and header(headers, VERSION_HEADER) is None:
        number = generation_number(listed.offset, listed.generation)
        headers.append((VERSION_HEADER, f"offset:{number}".encode()))
    elif stated.kind is VersionKind.LSN:
        place = stated.origin or Origin(listed.generation, listed.partition, listed.offset, 0)
        begins = sources.get((listed.topic, place.generation, place.partition), ())
        origin = place._replace(source_generation=bisect_right(begins, place.offset))
        headers = [(name, value) for name, value in headers if name != VERSION_HEADER]
        headers.append(origin_header(origin))
    return RawRecord(listed.topic, listed.partition, letter.key, letter.value, headers)


@asynccontextmanager
async def _versions(
    settings: Settings,
) -> AsyncIterator[Callable[[Letter], Awaitable[StatedVersion | None]]]:
    """What a record says of its version, with the schemas that it needs for that."""
    schemas = Schemas(settings) if settings.schema_registry_url is not None else None
    forms = Forms(prefix=settings.flattened_prefix, schemas=schemas)

    async def stated(letter: Letter) -> StatedVersion | None:
        while True:
            try:
                return _version_of(letter, forms)
            except SchemaNeededError as needed:
                assert schemas is not None  # only then is one asked for
                await schemas.fetch(needed.reference)

    try:
        yield stated
    finally:
        if schemas is not None:
            await schemas.close()


def _version_of(letter: Letter, forms: Forms) -> StatedVersion | None:
    """What the record says of its version, an offset where that cannot be told; None when it
    changes nothing. Raises SchemaNeededError.
    """
    value, headers = letter.value, letter.headers
    try:
        envelope = tombstone_envelope(value, headers, forms)
        if envelope is None and value is not None:
            envelope = open_envelope(value, headers, forms)
        return None if envelope is None else version_of(envelope, _Original(letter))
    except RejectedError:
        return StatedVersion(VersionKind.OFFSET, Version(letter.listed.offset))


def _groups(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
