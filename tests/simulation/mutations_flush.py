"""Faults put into the flush."""

from __future__ import annotations

from typing import Any

from nova_stream.storage import locks
from nova_stream.storage.apply import flush, sql
from nova_stream.storage.apply.admission import Admission
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.dead_letters import insert as letters
from nova_stream.storage.faults import Fault
from nova_stream.stream import flusher
from nova_stream.stream.flusher import Flusher
from tests.simulation.mutation import Mutation


def _positions_not_checked(lock: Any) -> Any:
    async def locked(self: Admission) -> Any:
        rows = await lock(self)
        starts = {chunk.key: chunk.start for chunk in self._chunks}
        return {key: {**row, "next_offset": starts[key]} for key, row in rows.items()}

    return locked


def _generation_ignored(lock: Any) -> Any:
    async def locked(self: Admission) -> Any:
        rows = await lock(self)
        lives = {chunk.key: chunk.generation for chunk in self._chunks}
        return {key: {**row, "generation": lives[key]} for key, row in rows.items()}

    return locked


def _moved_too_far(admit: Any) -> Any:
    def admitted(self: Admission, *given: Any) -> Any:
        found = admit(self, *given)
        found.applied.next_offset += bool(found.chunk.records)
        return found

    return admitted


def _older_kept(_: Any) -> Any:
    def newest(changes: Any, passed: Any = None) -> Any:
        del passed
        found: dict[str, Any] = {}
        for change in changes:
            found.setdefault(change.id, change)
        return found

    return newest


def _last_of_equal_kept(_: Any) -> Any:
    def newest(changes: Any, passed: Any = None) -> Any:
        del passed
        found: dict[str, Any] = {}
        for change in changes:
            known = found.get(change.id)
            if known is None or change.number >= known.number:
                found[change.id] = change
        return found

    return newest


def _in_two_transactions(step: Any) -> Any:
    async def taken(self: Flush, *given: Any) -> Any:
        await self._connection.execute(sql.COMMIT)
        await self._connection.execute(sql.BEGIN)
        return await step(self, *given)

    return taken


def _first_left_out(insert: Any) -> Any:
    async def inserted(connection: Any, letters: Any) -> None:
        if letters[1:]:
            await insert(connection, letters[1:])

    return inserted


def _former_names_forgotten(note: Any) -> Any:
    def noted(self: Flush, entity: Any, rows: Any, chunks: Any) -> None:
        note(self, entity, [{**row, **_old_as_new(row)} for row in rows], chunks)

    return noted


def _old_as_new(row: Any) -> dict[str, Any]:
    return {"old_name": row["new_name"]} if "new_name" in row else {}


def _twice_after_a_failure(commit: Any) -> Any:
    """Figures are summed up in the worker and added again by the try that follows."""

    async def committed(self: Flusher, batch: Any, lane: Any) -> None:
        try:
            await commit(self, batch, lane)
        except OSError:
            raise
        except Exception:
            connection = await lane.connected()
            await connection.execute(sql.BEGIN)
            for (agent, topic, place), row in _partials(connection).items():
                if (topic, place) in {item.chunk.key for item in batch}:
                    await _double(connection, (agent, topic, place), row)
            await connection.execute(sql.COMMIT)
            raise

    return committed


def _partials(connection: Any) -> dict[Any, Any]:
    return dict(connection._session.database.tables["agent_stats_partials"])


async def _double(connection: Any, key: Any, row: Any) -> None:
    transaction = connection._session.transaction
    await transaction.lock("agent_stats_partials", key)
    doubled = {figure: 2 * number for figure, number in row.items()}
    transaction.put("agent_stats_partials", key, doubled)


def _of_the_record(judge: Any) -> Any:
    return lambda error: Fault.DATA if judge(error) is Fault.PASSING else judge(error)


def _none(_: Any) -> Any:
    return lambda _names: []


MUTATIONS = [
    Mutation("positions are not checked", 500, Admission, "_lock", _positions_not_checked),
    Mutation("a topic's generation is ignored", 2000, Admission, "_lock", _generation_ignored),
    Mutation("the position moves too far", 20, Admission, "_admit_chunk", _moved_too_far),
    Mutation("the fold keeps the older version", 20, flush, "newest", _older_kept),
    Mutation("of equal versions the last is kept", 200, flush, "newest", _last_of_equal_kept),
    Mutation("caches are committed apart", 20, Flush, "_end", _in_two_transactions),
    Mutation("positions are committed apart", 20, Flush, "_finish", _in_two_transactions),
    Mutation("a dead letter is dropped", 20, letters, "insert", _first_left_out),
    Mutation("former names are forgotten", 200, Flush, "_note_moves", _former_names_forgotten),
    Mutation("names are not locked", 200, locks, "names", _none),
    Mutation("a retry adds figures again", 200, Flusher, "_commit", _twice_after_a_failure),
    Mutation("an outage is the record's fault", 50, flusher, "fault_of", _of_the_record),
]
