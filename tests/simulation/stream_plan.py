"""What happens in one history of the stream: records, in whatever order, and faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from tests.simulation.connection import FAULTS
from tests.simulation.steps import Step

ENTITIES = ("agents", "builds", "tasks", "executions")
NAMES = ("MARS", "VEGA", "RIGEL")
_STATUSES = ("pending", "ready", "running", "done", "failed", "blocked")
_START_MS = 1_771_588_800_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: In virtual seconds: as long as records and faults come.
LENGTH = 8.0


class Record(NamedTuple):
    """What is published: ``number`` is its version where the topic's versions are its own."""

    entity: str
    partition: int
    id: str
    number: int
    fields: dict[str, Any] | None
    flaw: str | None = None


class Plan(NamedTuple):
    """A history: how many partitions and workers there are, and all that happens to them."""

    seed: int
    partitions: dict[str, int]
    by_offset: frozenset[str]
    workers: int
    steps: list[Step]


def plan(seed: int) -> Plan:
    random = Random(f"stream {seed}")
    chosen = ["agents", *random.sample(ENTITIES[1:], random.choice((1, 2, 2)))]
    partitions = {entity: random.choice((1, 2)) for entity in chosen}
    by_offset = frozenset(entity for entity in chosen if random.random() < 0.25)
    workers = random.choice((1, 2, 2, 2, 3))
    steps = [
        Step("publish", at, (record,))
        for at, record in _publications(random, partitions, by_offset)
    ]
    if random.random() < 0.2:
        steps += _made_again_in_an_outage(random, steps)
    steps += _faults(random, partitions, workers)
    steps.sort(key=lambda step: step.at)
    return Plan(seed, partitions, by_offset, workers, steps)


# -- what is published -----------------------------------------------------------------------------


def _publications(
    random: Random, partitions: dict[str, int], by_offset: frozenset[str]
) -> list[tuple[float, Record]]:
    found: list[tuple[float, Record]] = []
    for entity, number in partitions.items():
        for n in range(random.choice((1, 2, 3, 4))):
            home = n % number
            moves = entity not in by_offset and random.random() < 0.3
            for version in range(1, random.choice((2, 3, 6))):
                place = random.randrange(number) if moves else home
                record = _record(random, entity, place, f"{entity[0]}{n}", version)
                found += [(_moment(random), record)] * random.choice((1, 1, 1, 2))
                if not moves and random.random() < 0.1:  # another change of the same version
                    other = _record(random, entity, place, record.id, version)
                    found.append((_moment(random), other))
    # Some come again, later than they should.
    again = random.sample(found, len(found) // 5)
    return found + [(_moment(random), record) for _, record in again]


def _moment(random: Random) -> float:
    """Records come in bursts."""
    return round(random.randrange(8) * LENGTH / 8 + random.random() * 0.05, 3)


def _record(random: Random, entity: str, partition: int, id_: str, version: int) -> Record:
    flaw = random.choice(("bad_json", "bad_status", "unstorable"))
    if random.random() < 0.06 and (flaw != "bad_status" or entity in ("tasks", "builds")):
        return Record(entity, partition, id_, version, _FIELDS[entity](random, id_), flaw)
    if random.random() < 0.15:
        return Record(entity, partition, id_, version, None)
    return Record(entity, partition, id_, version, _FIELDS[entity](random, id_))


def _time(random: Random) -> int:
    return _START_MS + random.randrange(10_000)


def _agent(random: Random, id_: str) -> dict[str, Any]:
    role = random.choice(("planner", "tester"))
    return {"id": id_, "name": random.choice(NAMES), "role": role, "createdAt": _time(random)}


def _build(random: Random, id_: str) -> dict[str, Any]:
    status = random.choice(("pending", "running", "completed", "failed"))
    begun = _time(random)
    ended = begun + random.randrange(5_000) if status in ("completed", "failed") else None
    return {"id": id_, "status": status, "startedAt": begun, "completedAt": ended}


def _task(random: Random, id_: str) -> dict[str, Any]:
    return {"id": id_, "agent": random.choice(NAMES), "status": random.choice(_STATUSES)}


def _execution(random: Random, id_: str) -> dict[str, Any]:
    took = random.choice((None, 1, 2.5, random.randrange(1000)))
    name = random.choice(NAMES)
    return {"id": id_, "agent": name, "duration": took, "timestamp": _time(random)}


_FIELDS: dict[str, Callable[[Random, str], dict[str, Any]]] = {
    "agents": _agent,
    "builds": _build,
    "tasks": _task,
    "executions": _execution,
}


def encode(record: Record, serial: int, *, by_offset: bool) -> tuple[bytes, str | None]:
    """A record's value, and the text of its document; ``serial`` makes each document another."""
    source = {} if by_offset else {"source": {"seq": record.number}}
    about = {**source, "ts_ms": _START_MS + serial}
    if record.flaw == "bad_json":
        return b"{", None
    if record.fields is None:
        return _json({"op": "d", "before": {"id": record.id}, **about}).encode(), None
    fields = {name: _shown(name, value) for name, value in record.fields.items()}
    if record.flaw == "bad_status":
        fields["status"] = "asleep"
    mark = "unstorable" if record.flaw == "unstorable" else serial
    text = _json({**fields, "mark": mark})
    return _json({"op": "u", **about})[:-1].encode() + b',"after":' + text.encode() + b"}", text


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _shown(name: str, value: Any) -> Any:
    if value is not None and (name.endswith("At") or name == "timestamp"):
        time = _EPOCH + timedelta(milliseconds=value)
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


# -- what goes wrong -------------------------------------------------------------------------------


def _faults(random: Random, partitions: dict[str, int], workers: int) -> list[Step]:
    found = []
    for _ in range(random.choice((0, 1, 2, 4, 8))):
        seconds = random.choice((0.0, 0.05, 0.5, 3.0, 8.0))
        number = random.randrange(random.choice((40, 120, 300)))
        found.append(Step("strike", 0.0, (number, random.choice(FAULTS), seconds)))
    for _ in range(random.choice((0, 0, 1, 3))):
        found.append(Step("refuse", 0.0, (random.randrange(200),)))
    for _ in range(random.choice((0, 1, 1, 3))):
        found.append(Step("assign", _any_time(random), _assignment(random, partitions, workers)))
    for _ in range(random.choice((0, 0, 1, 2))):
        down = random.choice((0.0, 0.5, 4.0))
        found.append(Step("kill", _any_time(random), (random.randrange(workers), down)))
    for _ in range(random.choice((0, 0, 0, 1))):
        found.append(Step("recreate", _any_time(random), (random.choice(list(partitions)),)))
    for _ in range(random.choice((0, 0, 1))):
        seconds = random.choice((0.5, 3.0, 7.0, 12.0))
        found.append(Step("freeze", _any_time(random), (random.randrange(workers), seconds)))
    for _ in range(random.choice((0, 0, 1, 2))):
        entity = random.choice(list(partitions))
        place = random.randrange(partitions[entity])
        kind = random.choice(("marker", "marker", "trim"))
        found.append(Step(kind, _any_time(random), (entity, place)))
    for _ in range(random.choice((0, 0, 1))):
        ahead = random.choice((-3600.0, 3600.0))
        found.append(Step("clock", _any_time(random), (random.randrange(workers), ahead)))
    return found


def _made_again_in_an_outage(random: Random, published: list[Step]) -> list[Step]:
    """A topic is made again while the first records of its life before wait for Postgres."""
    late = [step for step in published if step.at > LENGTH / 2]
    if not late:
        return []
    first = random.choice(late)
    entity, begin = first.arguments[0].entity, int(first.at) - random.choice((0.05, 0.01, -0.02))
    return [
        Step("recreate", 0.3, (entity,)),
        Step("outage", round(begin, 3), (random.choice((1.0, 1.5, 2.0)),)),
        Step("recreate", round(begin + 0.1 + random.random() * 0.5, 3), (entity,)),
    ]


def _any_time(random: Random) -> float:
    return round(random.random() * LENGTH, 3)


def _assignment(
    random: Random, partitions: dict[str, int], workers: int
) -> tuple[tuple[str, int, tuple[int, ...]], ...]:
    """Entity, partition, and who has it then: one, none, or several that do not know it."""
    return tuple(
        (entity, place, tuple(random.sample(range(workers), k=min(workers, _owners(random)))))
        for entity, number in partitions.items()
        for place in range(number)
    )


def _owners(random: Random) -> int:
    return random.choice((0, 1, 1, 1, 1, 2, 2))
