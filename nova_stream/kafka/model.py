"""What Kafka tells, as types; importing them needs no client."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from nova_stream.clock import from_millis, isoformat

#: A topic and one of its partitions.
Key = tuple[str, int]

#: What Kafka does: it works, it takes connections and does not answer (stopped, or a network that
#: is gone), nothing listens at its addresses, or its brokers' names cannot be resolved.
KafkaState = Literal["up", "silent", "refusing", "unresolved"]

#: Producers that are alive end their transactions within seconds; Kafka itself after a minute.
_STANDS_AFTER = timedelta(minutes=1)


class FoundTopic(NamedTuple):
    """A topic as Kafka has it: one that is made again has another id."""

    id: str
    partitions: int


class Log(NamedTuple):
    """A partition's log, as offsets: where it starts, to where it can be read, and where it ends.

    Readers of what is committed come to ``stable``, which is below ``end`` while a transaction is
    open.
    """

    topic_id: str
    start: int
    stable: int
    end: int


class Group(NamedTuple):
    """A consumer group: its state as Kafka calls it (``Stable``, ``Empty``, …), its members, and
    the client id of each by the member's own id.
    """

    state: str
    members: int
    clients: Mapping[str, str]


class LackingRight(NamedTuple):
    """A resource, as ACLs name its kind, that this user may not read; ``hidden``: nor even see."""

    kind: Literal["Topic", "Group"]
    name: str
    hidden: bool


class OpenTransaction(NamedTuple):
    """A transaction in which a producer has written to a partition and that has not ended.

    ``name`` is its transactional id, None where the broker does not tell; ``last_write_ms`` is
    since the epoch.
    """

    producer_id: int
    name: str | None
    start: int
    last_write_ms: int


class HeldBackRecords(NamedTuple):
    """What an open transaction holds back of a partition: up to so many records.

    ``transaction`` is the one that began first, None where the broker does not tell.
    """

    topic: str
    partition: int
    records: int
    transaction: OpenTransaction | None

    @property
    def producer(self) -> str:
        """Whose transaction it is, in words."""
        if self.transaction is None:
            return "an unknown producer"
        name, number = self.transaction.name, self.transaction.producer_id
        return f"producer {name} (id {number})" if name else f"the producer with id {number}"

    def __str__(self) -> str:
        """One sentence: who holds back how much, and where."""
        since = ""
        if self.transaction is not None:
            since = f" (last write {isoformat(from_millis(self.transaction.last_write_ms))})"
        return (
            f"an open transaction of {self.producer}{since} holds back up to {self.records} "
            f"records of {self.topic}/{self.partition}"
        )

    def stands(self, now: datetime) -> bool:
        """Whether its producer has written nothing for a minute: it may never end by itself."""
        return (
            self.transaction is not None
            and now - from_millis(self.transaction.last_write_ms) > _STANDS_AFTER
        )


class AppliedPosition(NamedTuple):
    """How far a partition is applied: to before ``next_offset`` in its topic's life ``topic_id``.

    ``topic_id`` is None where it is not known; ``moved_at`` is when the last record was applied.
    """

    next_offset: int
    topic_id: str | None
    moved_at: datetime
