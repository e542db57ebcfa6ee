"""Histories of changes that hypothesis draws; the pools are small, so that everything collides."""

from __future__ import annotations

import random
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

from nova_stream.errors import RejectedError
from nova_stream.events.change import BUILD_STATUSES, TASK_STATUSES, Change, Entity, VersionKind
from nova_stream.events.placeholders import DEFAULT
from nova_stream.events.times import time_text
from tests.decoding import decode
from tests.integration.storage.chunks import NOON_MS, Record, value_of
from tests.recount import (
    Recount,
    finished_at,
    recount_history,
    revision_of_change,
)

PARTITIONS = 3
ENTITIES = (Entity.AGENTS, Entity.BUILDS, Entity.TASKS, Entity.EXECUTIONS)
Log = tuple[Entity, int]

_NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
_GARBAGE = (b"{", b"[]", b"\xff\xfe", b'{"op":"u","after":{"id":""}}')


class Step(NamedTuple):
    """One change of the main app; without ``after`` a deletion, without an id a truncation.

    ``read`` is a snapshot's row, of an incremental snapshot where there is no number (lsns only).
    """

    entity: Entity
    id: str
    number: int | None
    minor: int
    after: dict[str, Any] | None
    read: bool = False


class History(NamedTuple):
    """What lies in Kafka, by entity and partition, and how it is to be delivered.

    The topic of ``restart`` is made again while it is read; then ``remade`` lies in it, the same
    records, in another order unless rows of snapshots are among them. With ``marked`` some fields
    came as unavailable, so that what stands at the end depends on the order.
    """

    logs: dict[Log, list[Record]]
    kind: VersionKind
    schedule: int
    restart: Entity | None
    remade: dict[Log, list[Record]]
    marked: bool = False

    def log(self, log: Log, generation: int) -> list[Record]:
        """A partition's records in that life of its topic."""
        return self.remade[log] if generation else self.logs[log]

    def recounted(self) -> Recount:
        """The figures of what stands at the end, in plain Python."""
        changes: dict[Entity, list[Change]] = defaultdict(list)
        for (entity, partition), records in {**self.logs, **self.remade}.items():
            for record in records:
                change = _decoded(entity, record, partition)
                if change is not None:
                    changes[entity].append(change)
        return recount_history(
            revision_of_change(entity, change)
            for entity, some in changes.items()
            for change in _standing(some)
        )

    def finishes(self) -> dict[str, tuple[str, datetime]]:
        """What the tasks that stand as done or failed are, and since when, as far as it does not
        depend on the order in which partitions are read.
        """
        if self.restart is Entity.TASKS:
            return {}
        changes: dict[str, dict[int, list[Change]]] = defaultdict(lambda: defaultdict(list))
        for (entity, partition), records in self.logs.items():
            for record in records if entity is Entity.TASKS else ():
                change = _decoded(entity, record, partition)
                if change is not None:
                    changes[change.id][partition].append(change)
        if "" in changes:
            return {}
        found = {}
        for id_, by_partition in changes.items():
            if len(by_partition) == 1:
                counted = _counted(*by_partition.values())
                status = counted[-1].values[2]
                at = finished_at((change.values[2], change.changed_at) for change in counted)
                if status in ("done", "failed") and at is not None:
                    found[id_] = (status, at)
        return found

    def dead(self) -> int:
        """How many records of the topics' last lives no entity can be read from."""
        logs = {**self.logs, **self.remade}
        return sum(record.value in _GARBAGE for log in logs.values() for record in log)


def _decoded(entity: Entity, record: Record, partition: int) -> Change | None:
    try:
        return decode(entity, record, partition)
    except RejectedError:
        return None


def _standing(changes: list[Change]) -> Iterator[Change]:
    """The last change of each document that no truncation takes; one topic's, in the order of its
    logs.
    """
    truncations = [change for change in changes if change.truncates]
    last: dict[str, Change] = {}
    for change in changes:
        if change.truncates or not all(_is_after(change, t) for t in truncations):
            continue
        known = last.get(change.id)
        # Changes with lsns, and those whose versions are offsets, lie in one partition here.
        if known is None or _key(change) > _key(known) or _was_open(change, known):
            last[change.id] = change
    yield from last.values()


def _counted(changes: list[Change]) -> list[Change]:
    """Those of one document's changes that were newer than what was known when they came."""
    found = changes[:1]
    for change in changes[1:]:
        if _key(change) > _key(found[-1]) or _was_open(change, found[-1]):
            found.append(change)
    return found


def _key(change: Change) -> tuple[int, ...]:
    place = change.offset if change.kind is VersionKind.LSN else 0
    return (change.number, change.minor, place)


def _was_open(change: Change, known: Change) -> bool:
    """Whether a change was not committed yet when the snapshot read the row before it."""
    return change.kind is VersionKind.LSN and known.minor < 0 <= change.minor


def _is_after(change: Change, truncation: Change) -> bool:
    behind = change.partition == truncation.partition and change.offset > truncation.offset
    compares = change.partition == truncation.partition or change.kind is not VersionKind.OFFSET
    if change.number == 0 or not compares:  # without an lsn, or an offset of another partition
        elsewhere = change.partition != truncation.partition
        return behind or (elsewhere and change.changed_at >= truncation.changed_at)
    version, of_truncation = _key(change)[:2], _key(truncation)[:2]
    return version > of_truncation or (
        version == of_truncation and change.kind is VersionKind.LSN and behind
    )


_instants = st.integers(0, 40).map(lambda n: time_text(_NOON + timedelta(milliseconds=n * 1501)))
_names = st.sampled_from(["MARS", "VENUS", "PLUTO", "", "Åland 'x\" "])
_durations = st.one_of(
    st.integers(0, 10**6),
    st.decimals(0, 1000, places=3),
    st.sampled_from([Decimal("0.1"), Decimal("1e-7"), 10**15, Decimal("1e300"), None]),
)


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_fields: dict[Entity, st.SearchStrategy[dict[str, Any]]] = {
    Entity.AGENTS: st.builds(
        lambda name, more: {"name": name, **more},
        _names,
        _some(role=st.sampled_from(["plan", "test", None]), createdAt=_instants),
    ),
    Entity.BUILDS: st.builds(
        lambda status, more: {"status": status, **more},
        st.sampled_from([*BUILD_STATUSES, "completed", "completed"]),
        _some(startedAt=_instants, completedAt=_instants | st.none()),
    ),
    Entity.TASKS: st.builds(
        lambda status, more: {"status": status, **more},
        st.sampled_from(TASK_STATUSES),
        _some(agent=_names | st.none(), buildId=st.just("b0")),
    ),
    Entity.EXECUTIONS: _some(agent=_names, duration=_durations, timestamp=_instants),
}


def _steps(entity: Entity, ids: int) -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        entity=st.just(entity),
        id=st.integers(0, ids - 1).map(lambda n: f"{entity.value[0]}{n}"),
        number=st.integers(1, 15),
        minor=st.sampled_from([0, 0, 0, 1]),
        after=st.one_of(_fields[entity], _fields[entity], _fields[entity], st.none()),
    )


_tasks, _runs = _steps(Entity.TASKS, 8), _steps(Entity.EXECUTIONS, 6)
_builds, _agents = _steps(Entity.BUILDS, 6), _steps(Entity.AGENTS, 4)

#: What histories are of: everything, or little enough that transactions meet all the time.
_mixtures = st.sampled_from(
    [
        st.one_of(_tasks, _tasks, _runs, _builds, _agents),
        st.one_of(_tasks, _tasks, _runs, _agents),
        st.one_of(_tasks, _agents),
        _builds,
    ]
)


@st.composite
def histories(draw: st.DrawFn, sizes: Sequence[int] = (1, 10, 30, 60)) -> History:
    """Creates, updates, moves, renames, deletions, re-creations, snapshots, truncations, of any
    versions in any order, with duplicates, tombstones and garbage between them, over any
    partitions; at least so many.
    """
    least = draw(st.sampled_from(sizes))
    some = st.lists(draw(_mixtures), min_size=least, max_size=80, unique_by=lambda step: step[:4])
    steps = draw(some)
    kind = draw(st.sampled_from([VersionKind.SEQ, VersionKind.LSN, VersionKind.OFFSET]))
    repeated = draw(st.lists(st.integers(0, len(steps) - 1), max_size=15))
    schedule = draw(st.integers(0, 2**32))
    if draw(st.booleans()):
        steps.sort(key=lambda step: (step.number, step.minor))
    marks = draw(st.just([]) | st.lists(st.integers(0, len(steps) - 1), max_size=20))
    for index in marks:
        steps[index] = _with_mark(steps[index], schedule + index)
    if kind is VersionKind.LSN:
        steps = [_of_connector(step, schedule + n) for n, step in enumerate(steps)]
    truncated = draw(st.booleans())
    if truncated:
        steps += draw(st.lists(_truncations, min_size=1, max_size=3))
        random.Random(schedule).shuffle(steps)
    logs = _logs(steps, repeated, kind, schedule)
    # Which changes a truncation finds in another partition rests on times, which a topic that is
    # made again in another order does not keep.
    timeless = not truncated or kind is VersionKind.SEQ
    restart = draw(st.sampled_from([None, None, *ENTITIES])) if timeless else None
    remade = {
        log: records
        if kind is VersionKind.LSN and _has_reads(records)
        else _shuffled(records, schedule)
        for log, records in logs.items()
        if log[0] is restart
    }
    return History(logs, kind, schedule, restart, remade, bool(marks))


_truncations = st.builds(
    Step,
    entity=st.sampled_from(ENTITIES),
    id=st.just(""),
    number=st.integers(1, 15),
    minor=st.just(0),
    after=st.none(),
)


def _of_connector(step: Step, choice: int) -> Step:
    """As Postgres' connector writes it: without minors, with rows of snapshots between; those of
    incremental snapshots are of documents that have no other changes.
    """
    dice = random.Random(choice)
    if step.after is None or dice.random() < 0.6:
        return step._replace(minor=0)
    if dice.random() < 0.5:
        return step._replace(minor=0, read=True)
    return step._replace(id=f"{step.id}-read", number=None, minor=0, read=True)


def _with_mark(step: Step, choice: int) -> Step:
    if not step.after:
        return step
    names = sorted(step.after)
    return step._replace(after={**step.after, names[choice % len(names)]: DEFAULT})


def _has_reads(records: list[Record]) -> bool:
    """Rows of snapshots lie behind what they have seen, which another order would not keep."""
    return any(b'"op":"r"' in (record.value or b"") for record in records)


def _shuffled(records: list[Record], schedule: int) -> list[Record]:
    order = random.Random(schedule).sample(records, len(records))
    return [record._replace(offset=offset) for offset, record in enumerate(order)]


def _logs(
    steps: list[Step], repeated: list[int], kind: VersionKind, schedule: int
) -> dict[Log, list[Record]]:
    order = random.Random(schedule)
    published = list(steps)
    for index in repeated:
        published.insert(order.randrange(len(published) + 1), steps[index])
    published = _as_read(published)
    logs: dict[Log, list[Record]] = defaultdict(list)
    for moment, step in enumerate(published):
        partition = zlib.crc32(step.id.encode()) % PARTITIONS
        # Offsets are versions only where all writers put an entity into the same partition, and
        # places tell only there which change of one lsn is the later.
        if not step.id or (kind is VersionKind.SEQ and order.random() < 0.2):
            partition = order.randrange(PARTITIONS)
        log = logs[step.entity, partition]
        log.append(Record(len(log), _value(step, kind, moment), step.id.encode() or None))
        if step.after is None and step.id:
            log.append(Record(len(log), None, step.id.encode()))
        if order.random() < 0.05:
            log.append(Record(len(log), order.choice(_GARBAGE)))
    return dict(logs)


def _as_read(published: list[Step]) -> list[Step]:
    """Rows of snapshots as such only where a source has them: what it streamed of the document
    before and sends again, and rows that it read earlier, are not newer than them; and what comes
    behind with a lower lsn was open when they were read, so that no truncation lies between: it
    waits for all who have written to its table, and empties what an older snapshot reads of it.
    """
    found = list(published)
    for place, step in enumerate(published):
        if not step.read or step.number is None:
            continue
        same = [(n, s) for n, s in enumerate(published) if (s.entity, s.id) == step[:2]]
        before = [s.number or 0 for n, s in same if n < place]
        behind = [s.number or 0 for n, s in same if n > place and not s.read]
        read = [s.number or 0 for n, s in same if n > place and s.read]
        emptied = [s.number or 0 for s in published if (s.entity, s.id) == (step.entity, "")]
        if (
            any(b > min([*behind, *read, step.number]) for b in before)
            or (read and min(read) < step.number)
            or any(b <= e < step.number for b in behind for e in emptied)
        ):
            found[place] = step._replace(read=False)
    return found


def _value(step: Step, kind: VersionKind, moment: int) -> bytes:
    named = {"id": step.id}
    version: dict[str, Any] = {"ts_ms": NOON_MS + moment}
    if kind is VersionKind.SEQ:
        version |= {"seq": step.number, "minor": step.minor}
    elif kind is VersionKind.LSN:
        version |= {"connector": "postgresql", "lsn": step.number}
    if not step.id:
        return value_of(None, op="t", **version)
    if step.after is None:
        return value_of(None, before=named, **version)
    return value_of({**named, **step.after}, op="r" if step.read else "u", **version)
