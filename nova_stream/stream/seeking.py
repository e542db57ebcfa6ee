"""Where reading begins: Faust's consumer, with its positions in Postgres instead of Kafka.

- ``seek_to_committed``: the position in Postgres is where reading begins, never Kafka's committed
  offset; where Postgres does not answer, the partition waits and is sought later.
- what is acknowledged to Kafka is what Postgres has, for others' lag tools.
- ``subscribe``: Faust subscribes again 45 s after every rebalance, to the same topics, which would
  be a rebalance of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from nova_stream.events.change import Entity
from nova_stream.storage.apply.positions import Position
from nova_stream.stream.intake import Budget, Intake
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_SEEK_AGAIN_S = 0.5
_SEEK_LIMIT_S = 10.0
#: Seconds between two looks whether what was stepped over had been deleted.
_EXPLAIN_EVERY_S = 0.5


class Source(NamedTuple):
    """What the consumer needs of the rest of the worker."""

    entities: Mapping[str, Entity]
    budget: Budget
    #: Positions of partitions, made where they are new. Raises what the database raises.
    read_positions: Callable[
        [Iterable[tuple[str, int]]], Awaitable[dict[tuple[str, int], Position]]
    ]
    #: Begin a topic anew whose log ends below its positions of a generation.
    restart_topic: Callable[[str, int], Awaitable[None]]
    #: Whether a partition's agent should be woken although nothing new came.
    wake_wanted: Callable[[tuple[str, int], float], bool]
    #: Called at every rebalance, when all that is known of partitions becomes void.
    forget: Callable[[], None]
    #: False: one message an event, Faust's ordinary way.
    chunks: bool


class SeekingConsumer(Consumer):  # type: ignore[misc]
    """Faust's consumer, with an intake for each partition that has its place."""

    source: Source

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.intakes: dict[TP, Intake] = {}
        self._unsought: set[TP] = set()
        self._seek_at = 0.0
        self._trouble = False
        self._subscribed: set[str] = set()
        self._acknowledged: dict[TP, int] = {}
        self._applied: dict[TP, int] = {}
        self._stepped: dict[TP, int] = {}
        self._explain_at = 0.0

    # -- where reading begins ------------------------------------------------------------------

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe, unless it would change nothing."""
        wanted = set(topics)
        if wanted != self._subscribed:
            self._subscribed = wanted
            await super().subscribe(wanted)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Faust drops all its queues now, so every intake ends, also those that stay ours."""
        self._close_intakes()
        await super().on_partitions_revoked(revoked)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Begin anew with every assigned partition, at its position in Postgres."""
        self._close_intakes()
        self._unsought = {tp for tp in self.assignment() if tp.topic in self.source.entities}
        return await self._seek_unsought()

    async def seek_again(self, key: tuple[str, int]) -> None:
        """Read a partition again from its position in Postgres."""
        tp = TP(*key)
        intake = self.intakes.pop(tp, None)
        if intake is not None:
            intake.close()
            self._unsought.add(tp)

    async def follow_positions(self) -> None:
        """Read partitions again whose position in Postgres somebody has set back.

        Raises what looking up positions raises.
        """
        held, applied = dict(self.intakes), dict(self._applied)
        places = [tuple(tp) for tp in held if tp in applied]
        for key, position in (await self.source.read_positions(places)).items():
            tp = TP(*key)
            if position.next_offset < applied[tp] and self.intakes.get(tp) is held[tp]:
                _log.warning(
                    "reading a partition again",
                    topic=tp.topic,
                    partition=tp.partition,
                    reason=f"its position was set back to {position.next_offset}",
                )
                await self.seek_again(key)

    def _close_intakes(self) -> None:
        for intake in self.intakes.values():
            intake.close()
        self.intakes.clear()
        self._unsought.clear()
        self._acknowledged.clear()
        self._applied.clear()
        self._stepped.clear()
        self.source.forget()

    async def seek_due(self) -> None:
        """Try again what could not be sought, and what is to be sought again, once it is time."""
        if self._unsought and time.monotonic() >= self._seek_at:
            await self._seek_unsought()

    async def _seek_unsought(self) -> dict[TP, int]:
        """Seek what still has no place; what cannot be sought now is tried again later."""
        tps = self._unsought & self.assignment()
        if not tps:
            return {}
        self._seek_at = time.monotonic() + _SEEK_AGAIN_S
        try:
            async with asyncio.timeout(_SEEK_LIMIT_S):
                sought = await self._place(tps)
        except Exception as error:
            if not self._trouble:
                self._trouble = True
                _log.error(
                    "cannot look up positions",
                    error=str(error) or type(error).__name__,
                    then="reading waits, tried again until it works",
                )
            return {}
        if self._trouble:
            self._trouble = False
            _log.info("positions can be looked up again")
        return sought

    async def _place(self, tps: set[TP]) -> dict[TP, int]:
        source = self.source
        positions = await source.read_positions([tuple(tp) for tp in tps])
        begins = await self.earliest_offsets(*tps)
        ends = await self.highwaters(*tps)
        ahead = {
            tp.topic: positions[tp].generation for tp in tps if positions[tp].next_offset > ends[tp]
        }
        if ahead:
            for topic, generation in ahead.items():
                _log.error(
                    "a topic's log ends below its position in Postgres",
                    topic=topic,
                    then="its records are read again from the log's start; versions decide",
                )
                await source.restart_topic(topic, generation)
            positions = await source.read_positions([tuple(tp) for tp in tps])
        wanted = {tp: max(positions[tp].next_offset, begins[tp]) for tp in tps}
        await self._thread.seek_wait(wanted)
        if not tps <= self.assignment():
            return {}
        for tp in sorted(tps):
            position = positions[tp]
            self.intakes[tp] = intake = Intake(
                tp.topic,
                source.entities[tp.topic],
                tp.partition,
                start=position.next_offset,
                generation=position.generation,
                budget=source.budget,
            )
            if intake.reach(begins[tp]):
                _say_gone(tp, position.next_offset, begins[tp])
            self._read_offset[tp] = wanted[tp] or None
            self._applied[tp] = position.next_offset
        self._unsought -= tps
        return wanted

    # -- what reading steps over ---------------------------------------------------------------

    def note_step(self, tp: TP, start: int) -> None:
        """Note that reading stepped over offsets from ``start`` on, which held no record."""
        self._stepped.setdefault(tp, start)

    def explain_steps(self) -> None:
        """Have it found out, now and then, why what was noted held no record."""
        if self._stepped and (now := time.monotonic()) >= self._explain_at:
            self._explain_at = now + _EXPLAIN_EVERY_S
            stepped, self._stepped = self._stepped, {}
            # Nobody waits for it: Kafka may just be going away.
            self.add_future(self._explain(stepped))

    async def _explain(self, stepped: Mapping[TP, int]) -> None:
        """Tell what was stepped over because retention took it, and not for being no record."""
        try:
            begins = await self.earliest_offsets(*stepped)
        except KafkaError:
            self._stepped = {**stepped, **self._stepped}
            return
        for tp, begin in begins.items():
            if begin > stepped[tp]:
                _say_gone(tp, stepped[tp], begin)

    # -- what is applied -----------------------------------------------------------------------

    def acknowledge(self, key: tuple[str, int], next_offset: int) -> None:
        """Postgres has everything below ``next_offset``; Kafka is told at the next interval."""
        tp = TP(*key)
        if tp in self.intakes:
            self._acknowledged[tp] = self._applied[tp] = next_offset

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        committable, self._acknowledged = self._acknowledged, {}
        return committable

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own watch knows messages, not chunks; the worker's lag metric replaces it."""

    async def lag(self) -> dict[tuple[str, int], int]:
        """Offsets that can be read and are not applied, by partition; asks Kafka.

        The position steps over what is no record, so that 0 is reached behind a marker, too.
        """
        applied = dict(self._applied)
        if not applied:
            return {}
        begins = await self.earliest_offsets(*applied)
        ends = await self.highwaters(*applied)
        return {
            tuple(tp): max(0, ends[tp] - max(done, begins[tp]))
            for tp, done in applied.items()
            if tp in ends and tp in begins
        }


def _say_gone(tp: TP, position: int, begin: int) -> None:
    _log.error(
        "records are gone from the log before they were read",
        topic=tp.topic,
        partition=tp.partition,
        first=position,
        last=begin - 1,
        then="reading goes on at the log's start; publish their entities again (op r) if needed",
    )
