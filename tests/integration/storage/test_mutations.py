"""The property of ``test_exactness`` sees each protection that is taken away."""

from __future__ import annotations

import asyncio
import inspect
import textwrap
from typing import Any, NamedTuple

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from nova_stream.events.change import Entity
from nova_stream.storage.apply import (
    admission,
    figures_sql,
    flush,
    fold,
    sql,
    truncations,
    upserts_sql,
)
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.database import connect
from tests.integration.storage.chunks import value_of
from tests.integration.storage.conftest import WORKERS, Desk, Stage
from tests.integration.storage.histories import History, histories
from tests.integration.storage.waits import WaitsBeforeItCommits, until_it_waits

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]

#: Histories are tried by the dozen, until one shows the mutation.
DOZENS = 40


class Mutation(NamedTuple):
    """``old`` becomes ``new`` in a statement of ``sql``, or in the source of a function."""

    where: str
    old: str
    new: str
    workers: int = 1
    #: The dozen that is tried first, where it takes long to come to the one that shows it.
    first: int = 0


MUTATIONS = {
    "any version wins": Mutation(
        "UPSERT",
        "WHERE (excluded.version, excluded.version_minor) > (t.version, t.version_minor)",
        "",
    ),
    "minor does not count": Mutation(
        "UPSERT",
        "WHERE (excluded.version, excluded.version_minor) > (t.version, t.version_minor)",
        "WHERE excluded.version > t.version",
    ),
    "what is deleted comes back": Mutation(
        "UPSERT",
        "> (t.version, t.version_minor)",
        "> (t.version, t.version_minor) OR t.deleted_at IS NOT NULL",
    ),
    "the replaced task is not taken away": Mutation(
        "UPSERT", "SELECT p, old_agent, old_status, -n", "SELECT p, old_agent, old_status, 0"
    ),
    "the replaced execution is not taken away": Mutation(
        "UPSERT",
        "SELECT p, old_agent, old_duration, old_at, -1",
        "SELECT p, old_agent, old_duration, old_at, 0",
    ),
    "the replaced build is not taken away": Mutation(
        "UPSERT", "SELECT p, old_status, old_ms, -1", "SELECT p, old_status, old_ms, 0"
    ),
    "a deleted agent stays": Mutation("DROP_AGENTS_FROM_CACHE", "IS NOT NULL", "IS NULL AND false"),
    "the newest of a flush is the newest of all": Mutation(
        "ADD_TO_AGENTS", "n.newest >= c.last_active", "n.newest > '-infinity'"
    ),
    "an execution that has moved away is the newest": Mutation(
        "UPSERT", "max(at) FILTER (WHERE w > 0)", "max(at)"
    ),
    "what was the newest is known": Mutation("ADD_TO_AGENTS", "WHEN n.by_executions", "WHEN false"),
    "gaps are admitted": Mutation("_check", "if position < chunk.start:", "if False:"),
    "old generations are admitted": Mutation(
        "_check", 'if chunk.generation != row["generation"]:', "if False:", WORKERS
    ),
    "offsets are not ranked by generation": Mutation(
        "_admit_chunk", "rank_offset(change, chunk.generation)", "pass"
    ),
    "other kinds' dead letters below the position": Mutation(
        "_admit_chunk", "if letter.offset >= position", "if letter.offset > position"
    ),
    "a worker trusts its tables": Mutation(
        "_admit_chunk",
        'self._expected.get(chunk.key) != (position, row["epoch"])',
        "chunk.key not in self._expected",
        WORKERS,
    ),
    "the oldest of a flush wins": Mutation("newest", "> other.number", "< other.number"),
    "positions are not locked": Mutation("LOCK_POSITIONS", "FOR UPDATE OF s", "", WORKERS),
    "agents are not locked": Mutation(
        "_end", "keys = locks.names(renewed.union(tasks[0], executions[0]))", "keys = []", WORKERS
    ),
    "builds are not locked": Mutation("_end", "keys.append(locks.BUILDS)", "pass", WORKERS),
    "of one lsn the first counts": Mutation(
        "UPSERT_BY_LSN", "excluded.src_offset > t.src_offset", "false"
    ),
    "of one lsn and one flush the first counts": Mutation(
        "_kept", "newest_by_lsn(everything", "newest(everything"
    ),
    "what was open when a snapshot was read is old": Mutation(
        "UPSERT_BY_LSN",
        "CASE WHEN (excluded.version_minor >= 0",
        "CASE WHEN (false AND excluded.version_minor >= 0",
    ),
    "what is older than a truncation comes back": Mutation(
        "_keep_floors", "(floor := floors.get(a.chunk.key)) is not None", "False"
    ),
    "a truncation is noted for its own partition only": Mutation(
        "_keep_floors",
        "self._rows.items() if t == topic}",
        "self._rows.items() if (t, p) in {a.chunk.key for a in some}}",
    ),
    "other partitions go on beside a truncation": Mutation(
        "_lock", "if emptied:", "if False:", WORKERS
    ),
    "a truncation ends with its first step": Mutation("_truncate", "return False", "return True"),
    "emptied rows stand in the way of later ones": Mutation(
        "empty", "if truncation.kind is VersionKind.SEQ else _LOWEST", "", first=39
    ),
    "the snapshot is the transaction's": Mutation(
        "BEGIN", "READ COMMITTED", "REPEATABLE READ", WORKERS
    ),
}


def mutate(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    """Put the mutation in place; it fails where its text is not in the code any more."""
    where, old, new, *_ = mutation
    if where.startswith("UPSERT"):
        upserts: dict[Entity, str] = getattr(upserts_sql, where)
        changed = {entity: text.replace(old, new) for entity, text in upserts.items()}
        assert changed != upserts
        monkeypatch.setattr(upserts_sql, where, changed)
        return
    for statements in (sql, figures_sql):
        if hasattr(statements, where):
            text = getattr(statements, where)
            assert old in text
            monkeypatch.setattr(statements, where, text.replace(old, new))
            return
    for place, names in (
        (admission.Admission, vars(admission)),
        (flush.Flush, vars(flush)),
        (truncations, vars(truncations)),
    ):
        if hasattr(place, where):
            monkeypatch.setattr(place, where, _recompiled(getattr(place, where), old, new, names))
            return
    monkeypatch.setattr(flush, where, _recompiled(getattr(fold, where), old, new, vars(fold)))


def _recompiled(function: Any, old: str, new: str, names: dict[str, Any]) -> Any:
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{old} is not in {function.__name__}"
    scope = dict(names)
    exec(f"from __future__ import annotations\n{source.replace(old, new)}", scope)
    return scope[function.__name__]


def first_problem(stage: Stage, workers: int, first: int) -> list[str]:
    """What the first history shows that is not delivered right, or that Postgres refuses; [] when
    all are.
    """
    problems: list[str] = []

    @settings(
        max_examples=12,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories(sizes=(30, 60)))
    def look(history: History) -> None:
        if problems:
            return
        try:
            problems.extend(stage.play(history, workers))
        except* asyncpg.PostgresError as errors:
            problems.extend(str(error) for error in errors.exceptions)  # a deadlock, a broken key

    for dozen in sorted(range(DOZENS), key=lambda dozen: dozen != first):
        seed(dozen)(look)()
        if problems:
            break
    return problems


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_protection_that_is_taken_away_is_missed(
    stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation = MUTATIONS[name]
    mutate(monkeypatch, mutation)
    assert first_problem(stage, mutation.workers, mutation.first) != []


OLD_NAME_NOT_LOCKED = Mutation("UPSERT", "old.name AS old_name", "NULL AS old_name")


# Random histories seldom meet the moment between the new name's row and the commit.
@pytest.mark.parametrize("mutation", [None, OLD_NAME_NOT_LOCKED], ids=["locked", "not locked"])
async def test_another_agent_of_the_old_name_waits_for_a_rename(
    desk: Desk, mutation: Mutation | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "OLD"}, seq=1))
    await desk.put(Entity.AGENTS, value_of({"id": "b", "name": "OTHER"}, seq=2), partition=1)
    desk.add(Entity.AGENTS, value_of({"id": "a", "name": "NEW"}, seq=3))
    desk.add(Entity.AGENTS, value_of({"id": "b", "name": "OLD"}, seq=4), partition=1)
    if mutation is not None:
        mutate(monkeypatch, mutation)
    other = await connect(desk.settings, "other", flush=True)
    try:
        slow: Any = WaitsBeforeItCommits(desk.connection)
        rename = asyncio.create_task(
            Flush(slow, [desk.chunk(Entity.AGENTS, 1)], desk.expected).run()
        )
        await slow.about_to.wait()
        second = [desk.chunk(Entity.AGENTS, 1, partition=1)]
        change = asyncio.create_task(Flush(other, second, {}).run())
        await until_it_waits(desk.settings, other.get_server_pid())
        slow.may.set()
        await asyncio.gather(rename, change)
    finally:
        await other.close()
    name = "SELECT agent_name FROM agent_stats_cache WHERE agent_id = 'a'"
    assert await desk.connection.fetchval(name) == ("NEW" if mutation is None else "OLD")
    # What the mutation did is mended, since the desk looks at the caches at its end.
    monkeypatch.undo()
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "NEW"}, seq=5))


def test_every_entity_has_an_upsert_to_mutate() -> None:
    assert upserts_sql.UPSERT.keys() == set(Entity)
