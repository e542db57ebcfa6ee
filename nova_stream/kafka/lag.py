"""How far the stream is behind Kafka: one meaning of lag for all who tell it.

Lag is records that are there to be applied. Markers of transactions, what was aborted, what
compaction or retention took away, and what an open transaction holds back are none: the last is
told by itself. What is applied, Postgres says (``storage/apply/positions.py``); the offsets that
``stream/seeking.py`` commits to Kafka are for other tools.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.markers import Stretch, count_records
from nova_stream.kafka.model import AppliedPosition, HeldBackRecords, Key, Log
from nova_stream.settings import Settings

#: A partition whose position moved within so many seconds is being read: its position steps over
#: what is no record by itself, and counting would come too late.
_MOVING = timedelta(seconds=2)


class Logs(NamedTuple):
    """The logs of the six topics, and what open transactions hold back of them."""

    logs: dict[Key, Log]
    held: tuple[HeldBackRecords, ...]


class Backlog(NamedTuple):
    """Records that are there to be applied, by partition, where there are any.

    ``exact`` is False where one of the numbers may count what is no record: the offsets were too
    many to look at, or are just being read.
    """

    waiting: dict[Key, int]
    exact: bool
    held: tuple[HeldBackRecords, ...]

    @property
    def lag(self) -> int:
        """All records that are there to be applied."""
        return sum(self.waiting.values())

    @property
    def by_topic(self) -> dict[str, list[int]]:
        """The records of each partition in which there are any, by topic."""
        found: dict[str, list[int]] = defaultdict(list)
        for (topic, _), records in self.waiting.items():
            found[topic].append(records)
        return found


async def read_logs(admin: KafkaAdmin, topics: Collection[str]) -> Logs:
    """Ask Kafka about the logs of those of ``topics`` that exist.

    Raises KafkaUnavailableError, SettingsError.
    """
    logs = await admin.logs(topics)
    open_ = {key: log for key, log in logs.items() if log.stable < log.end}
    transactions = {}
    if open_:
        # Who it is may be told by the next look.
        with contextlib.suppress(KafkaUnavailableError):
            transactions = await admin.open_transactions(open_)
    held = [
        HeldBackRecords(*key, log.end - log.stable, next(iter(transactions.get(key, ())), None))
        for key, log in sorted(open_.items())
    ]
    return Logs(logs, tuple(held))


def stretches(
    logs: Mapping[Key, Log], applied: Mapping[Key, AppliedPosition]
) -> dict[Key, Stretch]:
    """What is not applied of the logs and can be read, by partition, where there is any.

    A position that is not there, or of a former life of its topic, stands at the log's start.
    """
    found = {}
    for key, log in logs.items():
        at = applied.get(key)
        known = at is not None and at.topic_id in (None, log.topic_id)
        first = max(log.start, at.next_offset if at is not None and known else 0)
        if first < log.stable:
            found[key] = (first, log.stable)
    return found


async def backlog_of(
    logs: Logs,
    applied: Mapping[Key, AppliedPosition],
    count: Callable[[Mapping[Key, Stretch]], Awaitable[dict[Key, int]]],
    now: datetime | None = None,
) -> Backlog:
    """The backlog, its records counted by ``count`` where that can tell them.

    With ``now`` given, those of partitions that are just being read are not counted.
    """
    waiting = stretches(logs.logs, applied)
    still = {key: s for key, s in waiting.items() if not _moves(applied.get(key), now)}
    counted = await count(still)
    records = {key: counted.get(key, end - first) for key, (first, end) in waiting.items()}
    return Backlog(
        waiting={key: count for key, count in records.items() if count},
        exact=counted.keys() == waiting.keys(),
        held=logs.held,
    )


def lag_of(ends: Mapping[Key, int], positions: Mapping[Key, int]) -> int:
    """How far positions are before the stable ends of logs, as offsets: 0 is exact, more is an
    upper bound.
    """
    return sum(max(0, end - positions.get(key, 0)) for key, end in ends.items())


async def read_backlog(
    settings: Settings, applied: Mapping[Key, AppliedPosition], limit: float
) -> Backlog:
    """The backlog by connections of its own, for who asks once.

    Raises KafkaUnavailableError when Kafka does not answer within ``limit`` seconds, SettingsError.
    """
    async with KafkaAdmin(settings, limit) as admin:
        logs = await read_logs(admin, list(settings.topics()))
    return await backlog_of(logs, applied, lambda wanted: count_records(settings, wanted, limit))


def _moves(applied: AppliedPosition | None, now: datetime | None) -> bool:
    return applied is not None and now is not None and now - applied.moved_at < _MOVING
