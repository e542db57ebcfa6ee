"""What ``nova-stream doctor`` looks at, a check a function; none of them changes anything."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from nova_stream.cli.check_convex import check_convex
from nova_stream.clock import Clock, isoformat
from nova_stream.errors import NovaStreamError
from nova_stream.kafka.markers import only_markers
from nova_stream.kafka.options import admin_options
from nova_stream.settings import Settings
from nova_stream.storage import sql
from nova_stream.storage.database import check_schema, connect, describe
from nova_stream.storage.dead_letter_store import DeadLetterStore
from nova_stream.storage.migrate import newest_revision
from nova_stream.storage.positions import enlarged

#: Seconds to wait for an answer of Kafka.
_LIMIT = 5.0
_LOOK_AGAIN = 0.1
_NOT_YET = {"NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"}
#: A worker that has something to do moves its positions many times a second.
_STANDS_AFTER = timedelta(seconds=30)


class Finding(msgspec.Struct, frozen=True):
    """What a check found; ``advice`` says what to do about a problem, or, where ``ok``, that
    this is a warning.
    """

    check: str
    ok: bool
    message: str
    advice: str = ""


async def examine(settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    """All checks, one after the other; what rests on something that failed is left out."""
    client = AdminClient(admin_options(settings))
    partitions = None
    try:
        partitions = _partitions(client)
    except KafkaException as error:
        yield _no_kafka(settings, error)
    else:
        yield Finding("kafka", ok=True, message=f"answers at {', '.join(settings.kafka_brokers)}")
        yield check_topics(partitions, settings)
        yield check_workers(client, settings)
    try:
        connection = await connect(settings, "doctor")
    except NovaStreamError as error:
        yield _problem("postgres", str(error))
        return
    try:
        yield check_version(connection, settings)
        schema = await check_newest_schema(connection)
        yield schema
        if schema.ok and partitions is not None:
            yield await check_lag(connection, client, partitions, settings, clock)
            yield await check_offsets(connection, partitions, settings)
        if schema.ok:
            yield await check_dead_letters(DeadLetterStore(connection))
            async for good, message, advice in check_convex(connection, settings, clock):
                yield Finding("convex", ok=good, message=message, advice=advice)
    finally:
        await connection.close()


def check_topics(partitions: Mapping[str, int], settings: Settings) -> Finding:
    """Whether the six topics are there."""
    missing = [topic for topic in settings.topics() if topic not in partitions]
    if missing:
        return _problem(
            "topics",
            f"{', '.join(missing)}: not there",
            "start a worker, which makes them: nova-stream worker; or check NOVA_TOPIC_PREFIX",
        )
    shown = ", ".join(f"{topic} {partitions[topic]}" for topic in settings.topics())
    return Finding("topics", ok=True, message=f"{shown} partitions")


def check_workers(client: AdminClient, settings: Settings) -> Finding:
    """Whether the consumer group has members."""
    group = settings.consumer_group
    try:
        members = _members(client, group)
    except (KafkaException, TimeoutError) as error:
        return _problem("workers", f"group {group} cannot be looked at: {error}")
    if not members:
        return _problem("workers", f"none runs (group {group})", "start one: nova-stream worker")
    return Finding("workers", ok=True, message=f"{members} in group {group}")


def check_version(connection: asyncpg.Connection[Any], settings: Settings) -> Finding:
    """The server's version; ``connect`` refuses one that is too old."""
    version = connection.get_server_version()
    place = describe(settings)
    # asyncpg counts as before version 10: the second number is the third.
    number = f"{version.major}.{version.micro}"
    return Finding("postgres", ok=True, message=f"{number} answers at {place}")


async def check_newest_schema(connection: asyncpg.Connection[Any]) -> Finding:
    """Whether the database is at the newest schema."""
    newest = newest_revision()
    try:
        await check_schema(connection, newest)
    except NovaStreamError as error:
        return _problem("schema", str(error))
    return Finding("schema", ok=True, message=newest)


async def check_lag(
    connection: asyncpg.Connection[Any],
    client: AdminClient,
    partitions: Mapping[str, int],
    settings: Settings,
    clock: Clock,
) -> Finding:
    """How many records wait to be applied, and whether that goes on."""
    rows = await connection.fetch(sql.ALL_POSITIONS)
    positions = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    wanted = [(t, p) for t in settings.topics() for p in range(partitions.get(t, 0))]
    try:
        ends = _ends(client, wanted)
    except KafkaException as error:
        return _problem("lag", f"the ends of the topics cannot be read: {_said(error)}")
    ahead = sorted(key for key in wanted if positions.get(key, 0) > ends[key])
    if ahead:
        key = ahead[0]
        return _problem(
            "lag",
            f"the position of {key[0]}/{key[1]} is {positions[key]}, but the end is {ends[key]}",
            "Kafka has lost records or the topic was made again; a running worker notices and says "
            "what it does",
        )
    found = _lag(
        wanted, positions, ends, max((row["updated_at"] for row in rows), default=None), clock
    )
    waiting = {key: positions.get(key, 0) for key in wanted if positions.get(key, 0) < ends[key]}
    if not found.ok and only_markers(settings, waiting, _LIMIT):
        return Finding(
            "lag", ok=True, message="0: everything is applied but markers of transactions"
        )
    return found


async def check_offsets(
    connection: asyncpg.Connection[Any], partitions: Mapping[str, int], settings: Settings
) -> Finding:
    """Whether a topic whose versions are Kafka's offsets got more partitions."""
    ours = {topic: partitions[topic] for topic in settings.topics() if topic in partitions}
    mixed = await enlarged(connection, ours)
    if not mixed:
        return Finding("versions", ok=True, message="no topic mixes offsets of two partitionings")
    return _problem(
        "versions",
        f"{', '.join(mixed)}: versions are offsets, and partitions were added: changes of entities "
        "that moved to another partition may have had no effect",
        "make the topic again and publish all its entities (op r), as docs/operations.md has it "
        "under More partitions",
    )


async def check_dead_letters(store: DeadLetterStore) -> Finding:
    """Whether records wait for somebody to look at them."""
    found = await store.open_by_reason()
    if not found:
        return Finding("dead letters", ok=True, message="none open")
    reasons = ", ".join(f"{number} {reason}" for reason, number in found.items())
    return _problem(
        "dead letters",
        f"{sum(found.values())} open ({reasons})",
        "look at them: nova-stream dead-letters list --state open; then retry or discard them",
    )


def _lag(
    wanted: list[tuple[str, int]],
    positions: Mapping[tuple[str, int], int],
    ends: Mapping[tuple[str, int], int],
    moved_at: datetime | None,
    clock: Clock,
) -> Finding:
    behind: dict[str, int] = defaultdict(int)
    for key in wanted:
        behind[key[0]] += ends[key] - positions.get(key, 0)
    total = sum(behind.values())
    if not total:
        return Finding("lag", ok=True, message="0: everything is applied")
    shown = ", ".join(f"{topic} {count}" for topic, count in behind.items() if count)
    if moved_at is not None and clock() - moved_at < _STANDS_AFTER:
        return Finding(
            "lag", ok=True, message=f"{total} records wait and are being applied: {shown}"
        )
    since = f"been applied since {isoformat(moved_at)}" if moved_at else "ever been applied"
    return _problem(
        "lag",
        f"{total} records wait, and nothing has {since}: {shown}",
        "start a worker (nova-stream worker), or read the log of the one that runs",
    )


def _members(client: AdminClient, group: str) -> int:
    deadline = time.monotonic() + _LIMIT
    while True:
        described = client.describe_consumer_groups([group], request_timeout=_LIMIT)
        try:
            return len(described[group].result(_LIMIT).members)
        except KafkaException as error:
            # A new Kafka makes its topic for groups when it is first asked about one.
            if error.args[0].name() not in _NOT_YET or time.monotonic() > deadline:
                raise
        time.sleep(_LOOK_AGAIN)


def _partitions(client: AdminClient) -> dict[str, int]:
    topics = client.list_topics(timeout=_LIMIT).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _ends(client: AdminClient, wanted: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
    if not wanted:
        return {}
    asked = {TopicPartition(topic, partition): OffsetSpec.latest() for topic, partition in wanted}
    answers = client.list_offsets(asked, request_timeout=_LIMIT)
    return {
        (place.topic, place.partition): answer.result().offset for place, answer in answers.items()
    }


def _no_kafka(settings: Settings, error: KafkaException) -> Finding:
    return _problem(
        "kafka",
        f"cannot be used at {', '.join(settings.kafka_brokers)}: {_said(error)}",
        "check NOVA_KAFKA_BROKERS, and NOVA_KAFKA_SECURITY where it wants TLS or a password; or "
        "start everything here: nova-stream dev",
    )


def _said(error: KafkaException) -> str:
    return str(error.args[0].str())


def _problem(check: str, message: str, advice: str = "") -> Finding:
    return Finding(check, ok=False, message=message, advice=advice)
