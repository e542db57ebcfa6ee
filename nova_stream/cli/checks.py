"""What ``nova-stream doctor`` looks at, a check a function; none of them changes anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta

import msgspec

from nova_stream.cli import check_kafka
from nova_stream.cli.check_convex import check_convex
from nova_stream.cli.finding import Finding, problem
from nova_stream.clock import Clock, isoformat
from nova_stream.errors import KafkaUnavailableError, NovaStreamError
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.lag import Backlog, backlog_of, read_logs
from nova_stream.kafka.markers import count_records
from nova_stream.kafka.model import AppliedPosition, Key, Log
from nova_stream.settings import Settings
from nova_stream.storage.access import tokens as token_store
from nova_stream.storage.apply.positions import mixing, standing, stopped
from nova_stream.storage.apply.sources import noticed
from nova_stream.storage.database import Connection, check_schema, connect, describe
from nova_stream.storage.dead_letters.store import DeadLetterStore
from nova_stream.storage.schema import newest_revision

#: Seconds to wait for an answer of Kafka, and for Postgres to let us in.
_LIMIT_S = 4.0
#: A worker that has something to do moves its positions many times a second.
_STANDS_AFTER = timedelta(seconds=30)
#: How long before its end a token is named.
_SOON = timedelta(days=14)
#: What the check of dead letters is called.
_LETTERS = "dead letters"


async def examine(
    settings: Settings, clock: Clock, *, ready: bool = False
) -> AsyncIterator[Finding]:
    """All checks, one after the other; what rests on something that failed is left out. Whoever
    asks only whether all is ``ready`` is warned of dead letters.
    """
    async with KafkaAdmin(settings, _LIMIT_S) as admin:
        async for finding in _examine(settings, clock, admin):
            letters = ready and finding.check == _LETTERS
            yield msgspec.structs.replace(finding, ok=True) if letters else finding


async def _examine(settings: Settings, clock: Clock, admin: KafkaAdmin) -> AsyncIterator[Finding]:
    partitions = None
    hidden: set[str] = set()
    nobody = False
    try:
        partitions = {name: found.partitions for name, found in (await admin.topics()).items()}
    except KafkaUnavailableError as error:
        yield await check_kafka.away(error, settings)
    else:
        yield Finding("kafka", ok=True, message=f"answers at {', '.join(settings.kafka_brokers)}")
        lacking = await check_kafka.lacking_rights(admin, settings)
        hidden = {right.name for right in lacking if right.hidden}
        if lacking:
            yield check_kafka.rights(lacking)
        yield check_kafka.topics(partitions, settings, hidden)
        if settings.consumer_group not in hidden:
            workers, nobody = await check_kafka.workers(admin, settings)
            yield workers
    try:
        connection = await connect(settings, "doctor", timeout=_LIMIT_S)
    except NovaStreamError as error:
        yield problem("postgres", str(error))
        return
    try:
        yield check_version(connection, settings)
        schema = await check_newest_schema(connection)
        yield schema
        if schema.ok and partitions is not None:
            if hidden.isdisjoint(settings.topics()):
                for finding in await check_lag(connection, admin, settings, clock, nobody=nobody):
                    yield finding
            yield await check_offsets(connection, partitions, settings)
        if schema.ok:
            yield await check_sources(connection)
            yield await check_stopped(connection)
            yield await check_dead_letters(DeadLetterStore(connection))
            yield await check_tokens(connection, clock())
            async for good, message, advice in check_convex(connection, settings, clock):
                yield Finding("convex", ok=good, message=message, advice=advice)
    finally:
        await connection.close()


def check_version(connection: Connection, settings: Settings) -> Finding:
    """The server's version; ``connect`` refuses one that is too old."""
    version = connection.get_server_version()
    place = describe(settings)
    # asyncpg counts as before version 10: the second number is the third.
    number = f"{version.major}.{version.micro}"
    return Finding("postgres", ok=True, message=f"{number} answers at {place}")


async def check_newest_schema(connection: Connection) -> Finding:
    """Whether the database is at the newest schema."""
    try:
        await check_schema(connection)
    except NovaStreamError as error:
        return problem("schema", str(error))
    return Finding("schema", ok=True, message=newest_revision())


async def check_lag(
    connection: Connection, admin: KafkaAdmin, settings: Settings, clock: Clock, *, nobody: bool
) -> list[Finding]:
    """How many records wait to be applied, whether that goes on (it does not if ``nobody`` does
    it), and what holds others back.
    """
    applied = await standing(connection)
    try:
        logs = await read_logs(admin, list(settings.topics()))
    except KafkaUnavailableError as error:
        return [problem("lag", f"the ends of the topics cannot be read: {error}")]
    for key, log in sorted(logs.logs.items()):
        at = applied.get(key)
        if at is not None and at.next_offset > log.end:
            return [_ahead(key, at, log)]
    backlog = await backlog_of(
        logs, applied, lambda wanted: count_records(settings, wanted, _LIMIT_S)
    )
    stands = nobody or not _moves(applied, clock)
    return [_lag(backlog, applied, stands=stands), *_transactions(backlog, clock)]


async def check_offsets(
    connection: Connection, partitions: Mapping[str, int], settings: Settings
) -> Finding:
    """Whether a topic whose versions are Kafka's offsets has entities in several partitions."""
    ours = {topic: partitions[topic] for topic in settings.topics() if topic in partitions}
    mixed = await mixing(connection, ours)
    if not mixed:
        return Finding("versions", ok=True, message="no topic mixes offsets of several partitions")
    return problem(
        "versions",
        f"{', '.join(mixed)}: versions are offsets, and entities have changes in several "
        "partitions, some of which may have had no effect",
        "see to it that each entity has one partition (one key, one partitioner), recreate the "
        "topic and publish all its entities (op r), as docs/operations.md has it under More "
        "partitions",
    )


async def check_sources(connection: Connection) -> Finding:
    """Whether lsns come from another server than those known."""
    found = await noticed(connection)
    if not found:
        return Finding("sources", ok=True, message="no source seems to have moved")
    topics = sorted({item.topic for item in found})
    letters = sum(item.letters for item in found)
    return problem(
        "sources",
        f"{', '.join(topics)}: {letters} changes are newer by their time and older by their lsn "
        "than what is known, so that they are of another server",
        f"if the source has moved: nova-stream topics new-source {topics[0]}, as "
        "docs/operations.md has it under The source has moved",
    )


async def check_stopped(connection: Connection) -> Finding:
    """Whether partitions stand, since most of their records would be dead letters."""
    found = await stopped(connection)
    if not found:
        return Finding("partitions", ok=True, message="none stands for too many dead letters")
    first = found[0]
    others = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return problem(
        "partitions",
        f"{first.topic}/{first.partition} stands{others}: {first.why}",
        "correct what publishes; docs/operations.md, Too many dead letters",
    )


async def check_dead_letters(store: DeadLetterStore) -> Finding:
    """Whether records wait for somebody to look at them."""
    found = await store.open_by_reason()
    if not found:
        return Finding(_LETTERS, ok=True, message="none open")
    reasons = ", ".join(f"{number} {reason}" for reason, number in found.items())
    return problem(
        _LETTERS,
        f"{sum(found.values())} open ({reasons})",
        "look at them: nova-stream dead-letters list --state open; then retry or discard them",
    )


async def check_tokens(connection: Connection, now: datetime) -> Finding:
    """Which of the API's stored tokens end soon."""
    found = await token_store.ending(connection, now, now + _SOON)
    if not found:
        return Finding("tokens", ok=True, message="none expires within two weeks")
    listed = ", ".join(f"{name} at {isoformat(end)}" for name, end in found)
    advice = f"give them new secrets in time: nova-stream tokens rotate {found[0][0]}"
    return Finding("tokens", ok=True, message=f"ending soon: {listed}", advice=advice)


def _ahead(key: Key, at: AppliedPosition, log: Log) -> Finding:
    return problem(
        "lag",
        f"the position of {key[0]}/{key[1]} is {at.next_offset}, but the end is {log.end}",
        "Kafka has lost records or the topic was made again; a running worker notices and says "
        "what it does",
    )


def _moves(applied: Mapping[Key, AppliedPosition], clock: Clock) -> bool:
    return any(clock() - at.moved_at < _STANDS_AFTER for at in applied.values())


def _lag(backlog: Backlog, applied: Mapping[Key, AppliedPosition], *, stands: bool) -> Finding:
    total = f"{'' if backlog.exact else 'up to '}{backlog.lag}"
    if not backlog.lag:
        all_ = "all that can be read" if backlog.held else "everything"
        return Finding("lag", ok=True, message=f"0: {all_} is applied")
    shown = ", ".join(f"{topic} {sum(counts)}" for topic, counts in backlog.by_topic.items())
    wait, are = ("1 record waits", "is") if total == "1" else (f"{total} records wait", "are")
    if not stands:
        return Finding("lag", ok=True, message=f"{wait} and {are} being applied: {shown}")
    moved_at = max((at.moved_at for at in applied.values()), default=None)
    since = f"been applied since {isoformat(moved_at)}" if moved_at else "ever been applied"
    return problem(
        "lag",
        f"{wait}, and nothing has {since}: {shown}",
        "start a worker (nova-stream worker), or read the log of the one that runs",
    )


def _transactions(backlog: Backlog, clock: Clock) -> list[Finding]:
    """What open transactions hold back: a problem where a producer seems to have left one."""
    return [
        Finding(
            "transactions",
            ok=not held.stands(clock()),
            message=str(held),
            advice="it is read when the producer ends the transaction, or Kafka does after the "
            "producer's transaction.timeout.ms; kafka-transactions.sh abort ends one by hand",
        )
        for held in backlog.held
    ]
