"""Plays one history of the stream and holds every committed transaction to the model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

from faust.types import TP

from nova_stream.events.change import Entity
from tests.simulation import statements_flush, statements_positions
from tests.simulation.connection import Fault, Wire
from tests.simulation.database import Database, Row
from tests.simulation.kafka import Broker, life_of
from tests.simulation.model import Model, Published
from tests.simulation.process import Process
from tests.simulation.statements_caches import (
    BUILD_CACHE,
    BUILD_PARTIALS,
    NAME_CACHE,
    NAME_PARTIALS,
)
from tests.simulation.statements_flush import LETTERS
from tests.simulation.statements_positions import POSITIONS, TOPICS
from tests.simulation.steps import Step
from tests.simulation.stream_plan import LENGTH, Plan, Record, encode
from tests.simulation.worker import StreamWorker

HANDLERS = statements_positions.HANDLERS | statements_flush.HANDLERS
#: Virtual seconds in which all must be right again once nothing goes wrong any more.
_SETTLES = 60.0


def topic_of(entity: str) -> str:
    return f"nova.{entity}"


class StreamWorld:
    """Kafka, Postgres, workers and the model of one history. ``fault`` is what is wrong, if any."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self.plan = plan
        self.fault: str | None = None
        steps = plan.steps
        strikes = {s.arguments[0]: Fault(*s.arguments[1:]) for s in steps if s.kind == "strike"}
        self.model = Model()
        self.database = Database(self._committed)
        # The migrations put the one row of the builds there.
        self.database.tables[BUILD_CACHE][""] = self.model.builds()
        self.wire = Wire(self.database, random, HANDLERS, strikes)
        refusals = frozenset(s.arguments[0] for s in steps if s.kind == "refuse")
        partitions = {topic_of(entity): n for entity, n in plan.partitions.items()}
        self.broker = Broker(random, partitions, refusals)
        self._random = random
        self._topics = {topic_of(entity): Entity(entity) for entity in plan.partitions}
        self._published: dict[tuple[str, int, int, int], tuple[Published, str | None]] = {}
        self._texts: dict[tuple[str, str], str | None] = {}
        self._read: dict[tuple[str, int, int], int] = {}
        self._stood: dict[tuple[str, int, int], int] = {}
        self._workers: dict[int, StreamWorker] = {}
        self._owners: dict[TP, tuple[int, ...]] = {}
        self._remaking: set[str] = set()
        self._serial = 0

    # -- the history -------------------------------------------------------------------------------

    async def play(self) -> None:
        """Play all of it; ends early where something is wrong."""
        self._share_out()
        for number in range(self.plan.workers):
            self._start(number)
        loop = asyncio.get_running_loop()
        for step in self.plan.steps:
            if step.kind in ("strike", "refuse"):
                continue
            if (wait := step.at - loop.time()) > 0:
                await asyncio.sleep(wait)
            if self.fault is not None:
                return
            self._take(step)
        await asyncio.sleep(LENGTH - loop.time())
        await self._settle()
        self.end()

    def end(self) -> None:
        for worker in self._workers.values():
            worker.process.died = None
            worker.process.kill()

    def _take(self, step: Step) -> None:
        match step.kind:
            case "publish":
                self._publish(step.arguments[0])
            case "assign":
                for entity, place, owners in step.arguments:
                    self._owners[TP(topic_of(entity), place)] = owners
                self._tell(again=0.3)
            case "kill":
                self._workers[step.arguments[0]].process.kill(step.arguments[1])
            case "freeze":
                self._workers[step.arguments[0]].process.freeze(step.arguments[1])
            case "outage":
                self.database.refuse(step.arguments[0])
            case "recreate":
                self._make_again(topic_of(step.arguments[0]))
            case "marker":
                self.broker.append(
                    TP(topic_of(step.arguments[0]), step.arguments[1]), None, b"", -1
                )
            case "trim":
                self._trim(TP(topic_of(step.arguments[0]), step.arguments[1]))
            case "clock":
                self._workers[step.arguments[0]].process.ahead = step.arguments[1]

    def _publish(self, record: Record) -> None:
        self._serial += 1
        by_offset = record.entity in self.plan.by_offset
        value, text = encode(record, self._serial, by_offset=by_offset)
        tp = TP(topic_of(record.entity), record.partition)
        kept = self.broker.append(tp, record.id.encode(), value, self._serial)
        life = self.broker.lives[tp.topic]
        version = (life, kept.offset) if by_offset else (record.number,)
        self._published[(*tp, life, kept.offset)] = (
            Published(*record[:1], record.id, version, tp.partition, record.fields, record.flaw),
            text,
        )

    def _make_again(self, topic: str) -> None:
        """Not while a worker starts: one that has seen the topic before would note its old id
        after others the new one, and its records would be read twice more.
        """
        if self.broker.lookers:
            self._remaking.add(topic)
            asyncio.get_running_loop().call_later(0.01, self._make_again, topic)
        else:
            self._remaking.discard(topic)
            self.broker.make(topic)

    def _trim(self, tp: TP) -> None:
        """Retention takes what is applied."""
        row = self.database.tables[POSITIONS].get(tuple(tp))
        log = self.broker.log(tp)
        if row is not None and self._life(tp.topic) == self.broker.lives[tp.topic]:
            log.begin = max(log.begin, row["next_offset"])

    def _start(self, number: int) -> None:
        process = Process(self.wire, f"worker {number}")
        process.died = lambda down: self._restart(number, down)
        worker = StreamWorker(process, self.broker, self._topics)
        self._workers[number] = worker
        worker.wanted = self._share(number)
        process.start(worker.main())

    def _restart(self, number: int, down: float) -> None:
        self._note(self._workers[number].process.faults)
        asyncio.get_running_loop().call_later(down, self._start, number)

    def _share(self, number: int) -> set[TP]:
        return {tp for tp, owners in self._owners.items() if number in owners}

    def _share_out(self) -> None:
        """Every partition has one owner; the one that it has already, where it is one."""
        for topic in self._topics:
            for place in range(self.plan.partitions[topic.removeprefix("nova.")]):
                if len(self._owners.get(TP(topic, place), ())) != 1:
                    owner = self._random.randrange(self.plan.workers)
                    self._owners[TP(topic, place)] = (owner,)

    def _tell(self, again: float = 0.0) -> None:
        """Tell workers what is theirs; ``again``: how often also those for whom nothing changes."""
        for number, worker in self._workers.items():
            wanted = self._share(number)
            if wanted != worker.wanted or self._random.random() < again:
                worker.wanted = wanted
                worker.changed.set()

    # -- what must be true -------------------------------------------------------------------------

    def _note(self, faults: list[str]) -> None:
        if self.fault is None and faults:
            self.fault = faults[0]

    def _life(self, topic: str) -> int:
        row = self.database.tables[TOPICS].get(topic)
        return life_of(row["topic_id"]) if row and row["topic_id"] else 0

    def _committed(self) -> None:
        if self.fault is None:
            self._follow()
            self._note(list(self._differences()))

    def _follow(self) -> None:
        """Give the model what the positions say is applied."""
        for (topic, partition), row in self.database.tables[POSITIONS].items():
            life = self._life(topic)
            place = (topic, partition, life)
            done = self._read.get(place, 0)
            life_and_place = (topic, partition, row["generation"])
            if row["next_offset"] < self._stood.get(life_and_place, 0):
                self._note([f"{topic}[{partition}] went back to {row['next_offset']}"])
            self._stood[life_and_place] = row["next_offset"]
            if row["next_offset"] > self.broker.logs[place].end:
                self._note([f"{topic}[{partition}] stands behind the end of its log"])
                return
            for offset in range(done, row["next_offset"]):
                found = self._published.get((*place, offset))
                if found is not None:
                    self._apply(*found, (topic, row["generation"], partition, offset))
            self._read[place] = max(done, row["next_offset"])
        self.model.settle(self.database.tables[LETTERS])

    def _apply(self, record: Published, text: str | None, place: Any) -> None:
        self.model.apply(record, place)
        if self.model.rows.get(record.entity, {}).get(record.id) is record:
            self._texts[record.entity, record.id] = text

    def _differences(self) -> Iterator[str]:
        tables = self.database.tables
        for entity in self._topics.values():
            rows = tables[entity]
            expected = {k: self._texts[entity, k] for k in self.model.rows.get(entity, {})}
            found = {id_: row["doc"] for id_, row in rows.items()}
            if expected != found:
                yield f"rows of {entity}: {_difference(expected, found)}"
        letters = {key: row["reason"] for key, row in tables[LETTERS].items()}
        if letters != self.model.letters:
            yield f"dead letters: {_difference(self.model.letters, letters)}"
        if (agents := self.model.agents()) != tables[NAME_CACHE]:
            yield f"cache of agents: {_difference(agents, tables[NAME_CACHE])}"
        if (builds := {"": self.model.builds()}) != tables[BUILD_CACHE]:
            yield f"cache of builds: {_difference(builds, tables[BUILD_CACHE])}"

    async def _settle(self) -> None:
        """Nothing goes wrong any more: all must come to its end by itself."""
        self.wire.faults = {}
        self.broker.faults = frozenset()
        self._share_out()
        self._tell()
        loop = asyncio.get_running_loop()
        until = loop.time() + _SETTLES
        while (open_ := self._open()) and self.fault is None:
            if loop.time() > until:
                self._note([f"not done after {_SETTLES:g} s: {open_[0]}"])
                return
            await asyncio.sleep(0.3)
            for worker in self._workers.values():
                self._note(worker.process.faults)
        self._note(list(self._tables_differ()))
        if self.database.deadlocks:
            self._note(["workers waited for each other in a circle"])

    def _tables_differ(self) -> Iterator[str]:
        """Whether what a worker keeps of its partitions is what Postgres has of them."""
        for worker in self._workers.values():
            for (topic, partition), (offset, epoch) in worker.tables.expected.items():
                row = self.database.tables[POSITIONS][topic, partition]
                if (row["next_offset"], row["epoch"]) == (offset, epoch):
                    found = worker.kept(topic, partition)
                    partials = _partials_of(self.database, topic, partition)
                    if found != partials:
                        yield f"table of {topic}[{partition}]: {_difference(partials, found)}"

    def _open(self) -> list[str]:
        """What is still to be done."""
        found = [f"{topic} is being made again" for topic in self._remaking]
        for topic in self._topics:
            for place in range(self.plan.partitions[topic.removeprefix("nova.")]):
                row = self.database.tables[POSITIONS].get((topic, place))
                end = self.broker.log((topic, place)).end
                life = self._life(topic)
                if row is None or (life, row["next_offset"]) != (self.broker.lives[topic], end):
                    found.append(f"{topic}[{place}] is at {row} of {end}")
        for worker in self._workers.values():
            if not worker.process.alive:
                found.append(f"{worker.process.name} is down")
            if worker.waiting_bytes:
                found.append(f"{worker.process.name} holds {worker.waiting_bytes} bytes")
        return found


def _partials_of(database: Database, topic: str, partition: int) -> dict[str, Row]:
    names, builds = database.tables[NAME_PARTIALS], database.tables[BUILD_PARTIALS]
    found = {key[0]: row for key, row in names.items() if key[1:] == (topic, partition)}
    if (topic, partition) in builds:
        found[""] = builds[topic, partition]
    return found


def _difference(expected: dict[Any, Any], found: dict[Any, Any]) -> str:
    for key in sorted(expected.keys() | found.keys(), key=str):
        if expected.get(key) != found.get(key):
            return f"{key} is {found.get(key)!r}, must be {expected.get(key)!r}"
    return "nothing"
