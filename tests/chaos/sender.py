"""The source of a scenario: traffic until told to stop, and a note of what must stand then.

``python -m tests.chaos.sender BROKERS PREFIX RATE SEED FILE`` publishes until its standard input
ends, then writes to FILE what it sent: the documents that stand, the keys of the records that
cannot be read, and when each task got its present status.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from tests.acceptance.traffic import Event, Traffic, encode

#: One record in so many cannot be read.
BAD_EVERY = 400
_BAD = (b'{"op":"u","after":{', b'{"op":"u","after":{"id":"x","status":"asleep"}}', b"[1,2]")


class Notes:
    """What was sent, in the order in which it was."""

    def __init__(self) -> None:
        self.sent = 0
        self.bad: list[str] = []
        self._seq: dict[tuple[str, str], int] = {}
        self._status: dict[str, tuple[str | None, int]] = {}

    def note(self, event: Event, at: int) -> None:
        """A change of a task's status is dated by the first change that has it; what is older than
        the known one was never known.
        """
        self.sent += 1
        if event.seq <= self._seq.get((event.entity, event.id), -1):
            return
        self._seq[event.entity, event.id] = event.seq
        if event.entity == "tasks":
            status = None if event.document is None else event.document["status"]
            if self._status.get(event.id, (None, 0))[0] != status:
                self._status[event.id] = (status, at)

    def finished(self) -> dict[str, int]:
        """When each finished task got its status, in epoch milliseconds."""
        return {id_: at for id_, (status, at) in self._status.items() if status in _FINISHED}


_FINISHED = ("done", "failed")


async def _publish(brokers: str, prefix: str, rate: float, traffic: Traffic, notes: Notes) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers,
        linger_ms=5,
        acks="all",
        enable_idempotence=True,
        # The broker is away for as long as a scenario wants.
        request_timeout_ms=200_000,
    )
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    pending: list[asyncio.Future[Any]] = []
    await producer.start()
    try:
        events, started = traffic.events(), time.monotonic()
        while not ended.done():
            # After an outage it goes on at its rate: nothing is made up for.
            started = max(started, time.monotonic() - (notes.sent + rate) / rate)
            while notes.sent < (time.monotonic() - started) * rate and not ended.done():
                event = next(events)
                value = encode(event)
                notes.note(event, msgspec.json.decode(value)["source"]["ts_ms"])
                topic, key = f"{prefix}.{event.entity}", event.id.encode()
                pending.append(await producer.send(topic, value, key=key))
                if notes.sent % BAD_EVERY == 0:
                    bad = f"bad-{notes.sent}"
                    notes.bad.append(bad)
                    value = _BAD[len(notes.bad) % len(_BAD)]
                    pending.append(await producer.send(f"{prefix}.tasks", value, key=bad.encode()))
            if len(pending) > 5000:
                await asyncio.gather(*pending)
                pending.clear()
            await asyncio.sleep(0.005)
        await asyncio.gather(*pending)
    finally:
        await producer.stop()


async def _main(brokers: str, prefix: str, rate: str, seed: str, file: str) -> None:
    traffic, notes = Traffic(int(seed)), Notes()
    await _publish(brokers, prefix, float(rate), traffic, notes)
    documents: dict[str, list[Any]] = {
        name: [] for name in ("agents", "builds", "tasks", "executions", "activities")
    }
    for (entity, _), event in traffic.final.items():
        if event.document is not None:
            documents[entity].append(event.document)
    told = {**documents, "sent": notes.sent, "bad": notes.bad, "finished": notes.finished()}
    await asyncio.to_thread(Path(file).write_bytes, msgspec.json.encode(told))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
