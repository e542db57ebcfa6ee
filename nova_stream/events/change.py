"""What crosses the layers: entities, versions and the change that a record asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol, get_args

import msgspec

from nova_stream.clock import from_millis


class Entity(StrEnum):
    """The six kinds of things whose changes are published; the value is the topic's last word."""

    AGENTS = "agents"
    BUILDS = "builds"
    TASKS = "tasks"
    EXECUTIONS = "executions"
    ACTIVITIES = "activities"
    USERS = "users"


class VersionKind(StrEnum):
    """Where a version's number comes from; the kinds of one topic must not be mixed."""

    SEQ = "seq"
    LSN = "lsn"
    OFFSET = "offset"


class Version(NamedTuple):
    """The order of one entity's changes: compared as (number, minor)."""

    number: int
    minor: int = 0


#: What a snapshot's row adds to its minor number where versions are lsns: at an equal lsn it ranks
#: below every streamed change, and what nova-stream itself adds to such a row stays below too.
SNAPSHOT_MINOR = -(2**30)
#: What a repair adds besides, which was compared with the source at its very place in the log: of
#: an ordinary snapshot's row nobody knows which transactions were open when it was read.
COMPARED_MINOR = 2**20


class Origin(NamedTuple):
    """Where a record stood that was published again, and the generation of its source there."""

    generation: int
    partition: int
    offset: int
    source_generation: int


class SourceRecord(Protocol):
    """A Kafka record as the decoder needs it (aiokafka's ConsumerRecord fits)."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Any: ...


class Change(msgspec.Struct, gc=False):
    """One change, ready for storage.

    ``doc`` is the document as JSON text with the main app's camelCase names (None for a
    deletion); ``values`` are the typed columns in the order of ``COLUMNS[entity]``, all None for
    a deletion. ``unavailable`` names the document's fields that came as
    ``__debezium_unavailable_value`` and are to keep what is known so far; they are absent
    from ``doc``, and the typed column of such a field is None. A truncation (op t) is a deletion
    without an id. ``changed_ms`` is when it was made, in milliseconds since 1970.
    """

    id: str
    number: int
    minor: int
    kind: VersionKind
    deleted: bool
    changed_ms: int
    doc: str | None
    values: tuple[Any, ...]
    partition: int
    offset: int
    unavailable: tuple[str, ...] = ()
    #: Whether the record states its number (a dead letter published again): it is an offset that
    #: has been put into its topic's generation already.
    stated: bool = False
    #: Whether the record was a row alone, from a source whose deletions may be tombstones.
    flattened: bool = False
    #: Whether it is a snapshot's row (op r) whose version the topic decides: an offset, or where
    #: versions are lsns the lowest of all.
    snapshot: bool = False
    #: Whether ``changed_ms`` is the time that the source itself gives.
    timed: bool = False
    #: The generation of its source, where the record states it.
    source_generation: int | None = None
    #: Where the record stood first, when it was published again.
    origin: Origin | None = None
    #: Where versions are lsns, once it is ranked: the generation of its source, which comes first,
    #: and its place in the partition in its topic's generation: of equal versions the later counts.
    rank_generation: int = 0
    place: int = 0

    @property
    def changed_at(self) -> datetime:
        """The instant of ``changed_ms``."""
        return from_millis(self.changed_ms)

    @property
    def truncates(self) -> bool:
        """Whether it empties its whole entity instead of changing one document."""
        return not self.id


#: Typed columns that are stored besides ``doc`` (snake_case in the database), by entity, in
#: the order of ``Change.values``. Durations are decimal text, times aware UTC datetimes with
#: millisecond precision. Everything else is read from ``doc`` by generated columns.
COLUMNS: dict[Entity, tuple[str, ...]] = {
    Entity.AGENTS: ("name", "created_at"),
    Entity.BUILDS: ("status", "started_at", "completed_at"),
    Entity.TASKS: ("build_id", "agent", "status", "created_at"),
    Entity.EXECUTIONS: ("task_id", "agent", "duration", "timestamp"),
    Entity.ACTIVITIES: ("timestamp",),
    Entity.USERS: ("created_at", "last_active_at"),
}

BuildStatus = Literal["pending", "running", "completed", "failed"]
TaskStatus = Literal["pending", "ready", "running", "done", "failed", "blocked"]
BUILD_STATUSES: tuple[str, ...] = get_args(BuildStatus)
TASK_STATUSES: tuple[str, ...] = get_args(TaskStatus)
ACTIVE_TASK_STATUSES = ("pending", "ready", "running")


def header(headers: Any, name: str) -> bytes | None:
    """The last value of a Kafka header, given as pairs or as a mapping; names in any case."""
    pairs: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers or ()
    found, wanted = None, name.lower()
    for key, value in pairs:
        if isinstance(key, str) and key.lower() == wanted and isinstance(value, bytes):
            found = value
    return found
