"""Traffic with everything that goes wrong in real life, published at a rate.

``python -m tests.acceptance.traffic BROKERS PREFIX RATE SECONDS SEED FILE`` publishes and, at the
end, writes the documents that must stand then to FILE: what counts is what was published.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer

AGENTS = [f"AGENT-{n:02d}" for n in range(21)]
REGISTERED = AGENTS[:18]
_STATUSES = ("pending", "ready", "running", "done", "failed", "blocked")
_DAY = "2026-02-20T"


class Event(NamedTuple):
    entity: str
    id: str
    seq: int
    document: dict[str, Any] | None


class Traffic:
    """An endless, seeded sequence of events; remembers the newest version of each entity."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._seq = 0
        self._recent: list[Event] = []
        self.final: dict[tuple[str, str], Event] = {}

    def events(self) -> Iterator[Event]:
        yield from (self._new("agents", f"id-{n}", self._agent(n)) for n in REGISTERED[:12])
        late = iter(REGISTERED[12:])
        for count in range(sys.maxsize):
            kind = self._random.random()
            if count % 5000 == 2500 and (name := next(late, None)):
                yield self._new("agents", f"id-{name}", self._agent(name))
            elif kind < 0.05 and self._recent:
                yield self._random.choice(self._recent)  # a duplicate
            elif kind < 0.10 and self._recent:
                yield self._outdated()
            else:
                yield self._change(kind)

    def _new(self, entity: str, id_: str, document: dict[str, Any] | None) -> Event:
        self._seq += 10
        event = Event(entity, id_, self._seq, document)
        self.final[entity, id_] = event
        if len(self._recent) < 500:
            self._recent.append(event)
        else:
            self._recent[self._random.randrange(500)] = event
        return event

    def _outdated(self) -> Event:
        """A change that never was known, with a version between two that were."""
        known = self._random.choice(self._recent)
        newest = self.final[known.entity, known.id]
        if known.seq >= newest.seq or known.document is None:
            return known
        return known._replace(seq=known.seq + self._random.randrange(1, 5))

    def _change(self, kind: float) -> Event:
        pick = self._random
        if kind < 0.70:
            id_ = f"t{pick.randrange(20_000)}"
            return self._new("tasks", id_, None if kind < 0.115 else self._task(id_))
        if kind < 0.92:
            id_ = f"e{pick.randrange(50_000)}"
            return self._new("executions", id_, None if kind < 0.705 else self._execution(id_))
        if kind < 0.99:
            id_ = f"b{pick.randrange(500)}"
            return self._new("builds", id_, None if kind < 0.925 else self._build(id_))
        return self._new("activities", f"a{self._seq}", self._activity())

    def _agent(self, name: str) -> dict[str, Any]:
        return {"id": f"id-{name}", "name": name, "role": "r", "createdAt": f"{_DAY}00:00:00.000Z"}

    def _task(self, id_: str) -> dict[str, Any]:
        pick = self._random
        return {
            "id": id_,
            "buildId": f"b{pick.randrange(500)}",
            "taskId": id_,
            "title": "A task",
            "agent": pick.choice(AGENTS),
            "status": pick.choice(_STATUSES),
            "dependencies": [],
            "phase": 1,
            "attempts": 1,
            "createdAt": f"{_DAY}01:00:00.000Z",
        }

    def _execution(self, id_: str) -> dict[str, Any]:
        pick = self._random
        return {
            "id": id_,
            "taskId": f"t{pick.randrange(20_000)}",
            "agent": pick.choice(AGENTS),
            "model": "m",
            "prompt": "p" * 40,
            "response": "r" * 60,
            "gatesPassed": True,
            "duration": pick.choice((pick.randrange(10_000), pick.randrange(10_000) / 8)),
            "timestamp": f"{_DAY}02:{pick.randrange(60):02d}:{pick.randrange(60):02d}.000Z",
        }

    def _build(self, id_: str) -> dict[str, Any]:
        pick = self._random
        document = {
            "id": id_,
            "prdId": "p",
            "prdName": "P",
            "startedAt": f"{_DAY}03:00:00.000Z",
            "status": pick.choice(("pending", "running", "completed", "failed")),
        }
        if pick.random() < 0.6:
            document["completedAt"] = (
                f"{_DAY}03:{pick.randrange(60):02d}:00.{pick.randrange(999):03d}Z"
            )
        return document

    def _activity(self) -> dict[str, Any]:
        return {
            "id": f"a{self._seq + 10}",
            "userId": "u",
            "agentName": AGENTS[0],
            "details": "d",
            "eventType": "task_started",
            "timestamp": f"{_DAY}04:00:00.000Z",
        }


def encode(event: Event) -> bytes:
    now = int(time.time() * 1000)
    gone = event.document is None
    return msgspec.json.encode(
        {
            "op": "d" if gone else "u",
            "ts_ms": now,
            "before": {"id": event.id} if gone else None,
            "after": event.document,
            "source": {"connector": "nova", "name": "main-app", "seq": event.seq, "ts_ms": now},
        }
    )


async def publish(brokers: str, prefix: str, rate: float, seconds: float, traffic: Traffic) -> int:
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers,
        linger_ms=5,
        acks="all",
        enable_idempotence=True,
        max_batch_size=131_072,
        request_timeout_ms=60_000,
    )
    await producer.start()
    try:
        events = traffic.events()
        sent, started = 0, time.monotonic()
        pending: list[asyncio.Future[Any]] = []
        while (passed := time.monotonic() - started) < seconds:
            while sent < passed * rate:
                event = next(events)
                future = await producer.send(
                    f"{prefix}.{event.entity}", encode(event), key=event.id.encode()
                )
                pending.append(future)
                sent += 1
            if len(pending) > 20_000:
                await asyncio.gather(*pending)
                pending.clear()
            await asyncio.sleep(0.002)
        await asyncio.gather(*pending)
    finally:
        await producer.stop()
    return sent


async def _main(brokers: str, prefix: str, rate: str, seconds: str, seed: str, file: str) -> None:
    traffic = Traffic(int(seed))
    sent = await publish(brokers, prefix, float(rate), float(seconds), traffic)
    documents: dict[str, Any] = {
        "sent": sent,
        "agents": [],
        "builds": [],
        "tasks": [],
        "executions": [],
        "activities": [],
    }
    for (entity, _), event in traffic.final.items():
        if event.document is not None:
            documents[entity].append(event.document)
    await asyncio.to_thread(Path(file).write_bytes, msgspec.json.encode(documents))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
