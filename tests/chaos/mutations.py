"""Faults put into a copy of the product on purpose, one for each scenario, which must catch it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Edit(NamedTuple):
    """``old`` stands once in ``file`` and becomes ``new``."""

    file: str
    old: str
    new: str

    def applied_to(self, folder: Path) -> None:
        """Change the file below ``folder``; AssertionError when the text is not there."""
        path = folder / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.file} has changed: {self.old!r}"
        path.write_text(text.replace(self.old, self.new))


class Mutation(NamedTuple):
    """What is wrong, and the scenario that must catch it."""

    scenario: str
    what: str
    edits: tuple[Edit, ...]


def mutated(mutation: Mutation, folder: Path) -> Path:
    """A copy of the product below ``folder`` with the fault in it."""
    shutil.copytree(ROOT / "nova_stream", folder / "nova_stream")
    for edit in mutation.edits:
        edit.applied_to(folder)
    return folder


_FLUSH = "nova_stream/storage/apply/flush.py"
_ADMISSION = "nova_stream/storage/apply/admission.py"
_SQL = "nova_stream/storage/apply/sql.py"
_UPSERTS = "nova_stream/storage/apply/upserts_sql.py"
_FAULTS = "nova_stream/storage/faults.py"
_SEEKING = "nova_stream/stream/seeking.py"
_COMPACTION = "nova_stream/jobs/archive/compaction.py"

_NO_GAP = Edit(_ADMISSION, "if position < chunk.start:", "if False:")
_FROM_THE_END = (
    _NO_GAP,
    Edit(
        _SEEKING,
        "wanted = {tp: max(positions[tp].next_offset, begins[tp]) for tp in tps}",
        "wanted = {tp: ends[tp] if positions[tp].next_offset else begins[tp] for tp in tps}",
    ),
    Edit(_SEEKING, "start=position.next_offset,", "start=wanted[tp],"),
)

MUTATIONS = (
    Mutation(
        "worker killed",
        "a flush commits its positions before its rows",
        (
            Edit(
                _FLUSH,
                "            whole = await self._truncate(",
                "            await connection.execute(*await self._finish(admitted))\n"
                "            await connection.execute(sql.COMMIT)\n"
                "            await __import__('asyncio').sleep(0.1)\n"
                "            await connection.execute(sql.BEGIN)\n"
                "            whole = await self._truncate(",
            ),
        ),
    ),
    Mutation(
        "postgres killed",
        "an outage of Postgres is taken for the record's fault",
        (
            Edit(_FAULTS, '{"08", "40", "53", "55", "57", ', '{"40", "53", "55", '),
            Edit(
                _FAULTS,
                "asyncpg.InternalClientError | DatabaseUnavailableError):\n"
                "        return Fault.PASSING",
                "asyncpg.InternalClientError | DatabaseUnavailableError):\n"
                "        return Fault.DATA",
            ),
        ),
    ),
    Mutation(
        "broker killed", "a worker that is given a partition begins at the log's end", _FROM_THE_END
    ),
    Mutation(
        "all killed at once",
        "the first dead letter of a flush is dropped",
        (
            Edit(
                _FLUSH,
                "dead = [letter for a in admitted for letter in a.dead]",
                "dead = [letter for a in admitted for letter in a.dead][1:]",
            ),
        ),
    ),
    Mutation(
        "worker stopped past its session",
        "a read that has waited long enough answers without what it waits for",
        (
            Edit(
                "nova_stream/api/positions.py",
                "                    raise _not_reached(token, reached, timeout)",
                "                    return",
            ),
        ),
    ),
    Mutation(
        "two owners of every partition",
        "neither positions nor versions are looked at",
        (
            _NO_GAP,
            Edit(
                _ADMISSION,
                '        position = row["next_offset"]\n        changes',
                "        position = chunk.start\n        changes",
            ),
            Edit(
                _UPSERTS,
                'f"({change}.version, {change}.version_minor) > (t.version, t.version_minor)"',
                'f"{change}.version IS NOT NULL"',
            ),
        ),
    ),
    Mutation(
        "postgres stopped",
        "a flush that has no answer for four seconds is taken for done",
        (
            _NO_GAP,
            Edit(
                "nova_stream/stream/flusher.py",
                "                await self._commit(batch, lane)\n            except",
                "                await asyncio.wait_for(self._commit(batch, lane), 4)\n"
                "            except TimeoutError:\n"
                "                lane.disconnect()\n"
                "                for item in batch:\n"
                "                    done = AppliedChunk(item.chunk.end, 0)\n"
                "                    item.future.done() or item.future.set_result(done)\n"
                "                return\n"
                "            except",
            ),
        ),
    ),
    Mutation(
        "postgres killed in its recovery",
        "caches are written in a transaction of their own",
        (
            Edit(
                _FLUSH,
                "            await self._end(",
                "            if whole:\n"
                "                await connection.execute(*await self._finish(admitted))\n"
                "            await connection.execute(sql.COMMIT)\n"
                "            await connection.execute(sql.BEGIN)\n"
                "            await self._end(",
            ),
        ),
    ),
    Mutation(
        "broker stopped for 60 s",
        "a worker that is given a partition begins at the log's end",
        _FROM_THE_END,
    ),
    Mutation(
        "broker half open",
        "a read with a token does not wait",
        (
            Edit(
                "nova_stream/api/own_writes.py",
                "        await while_there(request, services.watch.wait(token, timeout, caller))\n",
                "        del caller\n",
            ),
        ),
    ),
    Mutation(
        "postgres out of disk",
        "a full disk is taken for the record's fault",
        (Edit(_FAULTS, '"40", "53", "55"', '"40", "55"'),),
    ),
    Mutation(
        "failover to a standby",
        "a commit waits for no disk and no standby, and a gap is not noticed",
        (
            _NO_GAP,
            Edit(
                _SQL,
                'BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"',
                'BEGIN = "BEGIN; SET LOCAL synchronous_commit = off"',
            ),
        ),
    ),
    Mutation(
        "upgrade beside an old worker",
        "workers of an older version are not stopped",
        (
            Edit(
                "nova_stream/storage/older_workers.py",
                "::int < {int(revision)})",
                "::int < 0)",
            ),
        ),
    ),
    Mutation(
        "rebalance storm",
        "a worker that is given a partition begins at the log's end",
        _FROM_THE_END,
    ),
    Mutation(
        "clock steps of an hour",
        "versions of the clock go back where it does",
        (
            Edit(
                "nova_stream/events/versions.py",
                "self._last = max((self._clock() - EPOCH) // _MICROSECOND, self._last + 1)",
                "self._last = (self._clock() - EPOCH) // _MICROSECOND",
            ),
        ),
    ),
    Mutation(
        "S3 away in a compaction",
        "rows are emptied before their archive is written",
        (
            Edit(
                _COMPACTION,
                "        await self._archive.put(name, source)\n",
                "        await self._empty(object_id, self._context.now, source)\n"
                "        await self._archive.put(name, source)\n",
            ),
        ),
    ),
    Mutation(
        "clean restarts",
        "the position moves one record too far",
        (
            Edit(
                _ADMISSION,
                "next_offset=max(position, chunk.end),",
                "next_offset=max(position, chunk.end + (chunk.end % 50 == 7)),",
            ),
        ),
    ),
    Mutation(
        "API killed while mutations wait",
        "an event is acknowledged before Kafka has it",
        (
            Edit(
                "nova_stream/publish/bulk.py",
                "        while self._on_the_way:\n            await self._wait()\n",
                "",
            ),
        ),
    ),
)
