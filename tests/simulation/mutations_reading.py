"""Faults put into what is between Kafka and the flush."""

from __future__ import annotations

from typing import Any

from nova_stream.storage.apply import positions, sql
from nova_stream.storage.apply.admission import Admission
from nova_stream.stream import pumps
from nova_stream.stream.intake import Intake
from nova_stream.stream.seeking import SeekingConsumer
from nova_stream.stream.transport import ChunkConsumer
from nova_stream.stream.worker import Worker
from tests.simulation.mutation import Mutation


def _one_too_far(read: Any) -> Any:
    async def found(self: Worker, keys: Any) -> Any:
        positions_ = await read(self, keys)
        for position in positions_.values():
            position.next_offset += bool(position.next_offset)
        return positions_

    return found


def _whatever_comes(_: Any) -> Any:
    async def continuing(_self: ChunkConsumer, _tp: Any, _intake: Any, fetched: Any) -> Any:
        return fetched

    return continuing


def _not_given_back(_: Any) -> Any:
    return lambda _intake, _size: lambda _future: None


def _as_if_read(_: Any) -> Any:
    return lambda *_given: True


def _stepped_over(_: Any) -> Any:
    def close(self: Intake) -> None:
        self.closed = True
        self._budget.used -= sum(block.size for block in self._blocks)
        self._blocks.clear()

    return close


def _never(_: Any) -> Any:
    async def nothing(*_given: Any) -> None: ...

    return nothing


def _never_complete(admit: Any) -> Any:
    def admitted(self: Admission, *given: Any) -> Any:
        found = admit(self, *given)
        found.applied.complete = False
        return found

    return admitted


def _number_alone(_: Any) -> Any:
    async def next_generation(connection: Any, topic: str, topic_id: Any) -> int:
        number: int = await connection.fetchval(sql.NEXT_GENERATION, topic, topic_id)
        return number

    return next_generation


MUTATIONS = [
    Mutation("reading begins one too far", 50, Worker, "_read_positions", _one_too_far),
    Mutation("what does not follow is taken", 500, ChunkConsumer, "_continuing", _whatever_comes),
    Mutation(
        "others' records are stepped over", 500, ChunkConsumer, "_read_from_expected", _as_if_read
    ),
    Mutation("memory is not given back", 100, pumps, "_giving_back", _not_given_back),
    Mutation("what is dropped is stepped over", 500, Intake, "close", _stepped_over),
    Mutation("partitions are not sought again", 500, SeekingConsumer, "seek_again", _never),
    Mutation("others' flushes go unnoticed", 200, Admission, "_admit_chunk", _never_complete),
    Mutation("a generation begins in between", 500, positions, "_next_generation", _number_alone),
]
