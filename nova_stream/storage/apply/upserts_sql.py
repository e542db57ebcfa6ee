"""Statements that write the rows of entities, and say what moved.

They are the same for all entities and made from ``COLUMNS``; what differs is how a change of a row
moves the figures (``_tasks`` and so on).
"""

from __future__ import annotations

from nova_stream.events.change import COLUMNS, COMPARED_MINOR, SNAPSHOT_MINOR, Entity
from nova_stream.events.versions import GENERATION_BITS
from nova_stream.storage.apply.figures_sql import (
    ADDED_BY_TASKS,
    BUILD_FIGURES,
    NAME_FIGURES,
    as_given,
)
from nova_stream.storage.apply.sql import TABLES

_TYPES = {
    "created_at": "timestamptz",
    "started_at": "timestamptz",
    "completed_at": "timestamptz",
    "timestamp": "timestamptz",
    "last_active_at": "timestamptz",
}

_MARKERS = ("version", "version_minor", "changed_at", "deleted_at", "src_partition", "src_offset")
#: What is given of a row besides its document, with its type.
_GIVEN = {
    "id": "text",
    "version": "bigint",
    "version_minor": "int",
    "changed_at": "timestamptz",
    "deleted": "bool",
    "src_partition": "int",
    "src_offset": "bigint",
}


def _value(column: str) -> str:
    return f"{column}::numeric" if column == "duration" else column


def _newer(change: str) -> str:
    return f"({change}.version, {change}.version_minor) > (t.version, t.version_minor)"


def _streamed_behind(change: str, snapshot: str) -> str:
    """Whether a row is a streamed change behind what a snapshot read (``fold.State``)."""
    last = (1 << GENERATION_BITS) - 1
    return f"""({change}.version_minor >= 0
        AND {snapshot}.version_minor >= {SNAPSHOT_MINOR}
        AND {snapshot}.version_minor < {SNAPSHOT_MINOR + COMPARED_MINOR}
        AND {change}.version_generation = {snapshot}.version_generation
        AND {change}.src_partition = {snapshot}.src_partition
        AND {change}.src_offset > {snapshot}.src_offset
        AND {change}.src_offset >> {GENERATION_BITS} = {snapshot}.src_offset >> {GENERATION_BITS}
        AND {change}.src_offset & {last} <> {last})"""


def _newer_by_lsn(change: str) -> str:
    """Where versions are lsns: those of a later source outrank all before, and of equal ones the
    later place in the partition counts, or the one in the topic's later life. A streamed change
    behind a snapshot's row counts whatever its lsn.
    """
    return f"""CASE WHEN {_streamed_behind(change, "t")} THEN true
    WHEN {_streamed_behind("t", change)} THEN false
    ELSE ({change}.version_generation, {change}.version, {change}.version_minor)
        > (t.version_generation, t.version, t.version_minor)
    OR ({change}.version_generation, {change}.version, {change}.version_minor)
        = (t.version_generation, t.version, t.version_minor)
        AND ({change}.src_offset > t.src_offset AND {change}.src_partition = t.src_partition
            OR {change}.src_offset >> {GENERATION_BITS} > t.src_offset >> {GENERATION_BITS}) END"""


#: Columns of a finished task by the status that they are of: when it got it.
FINISHED_AT = {"done": "done_at", "failed": "failed_at"}


def _finished_at(column: str, steps: str, newer: str) -> str:
    """When a task finished that has finished again, or still has: at the first change newer than
    the stored row, unless the row had that status and no change between has another.

    ``steps`` is the parameter of what ``finishes.steps`` gives. It is text, and a subquery makes
    JSON of it, so that it is read only where a row needs it, and then once.
    """
    return f"""{column} = CASE WHEN excluded.{column} IS NULL THEN NULL
        WHEN t.{column} IS NULL AND excluded.{column} = excluded.changed_at THEN excluded.{column}
        ELSE coalesce((
            SELECT CASE WHEN s.at IS NULL THEN excluded.{column} ELSE coalesce(t.{column}, s.at) END
            FROM jsonb_to_recordset((SELECT {steps}::text::jsonb) -> excluded.id) AS s (n int,
                version bigint, version_minor int, version_generation int, src_partition int,
                src_offset bigint, at timestamptz)
            WHERE {newer} ORDER BY s.n NULLS FIRST LIMIT 1), t.{column}, excluded.{column}) END"""


def _upsert(entity: Entity, *, by_lsn: bool = False) -> str:
    newer = _newer_by_lsn if by_lsn else _newer
    typed = COLUMNS[entity]
    columns = {column: _value(column) for column in typed}
    given = _GIVEN | {column: _TYPES.get(column, "text") for column in typed}
    if by_lsn:
        columns["version_generation"] = "version_generation"
        given["version_generation"] = "int"
    sets = [f"{c} = excluded.{c}" for c in (*_MARKERS, "doc", *columns)]
    if entity is Entity.TASKS:
        given["since"] = "timestamptz"
        steps = f"${topic_parameter(entity, by_lsn=by_lsn) + 1}"
        for status, column in FINISHED_AT.items():
            columns[column] = f"CASE WHEN status = '{status}' THEN coalesce(since, changed_at) END"
            sets.append(_finished_at(column, steps, newer("s")))
    arrays = [f"unnest(${n}::{given[name]}[]) AS {name}" for n, name in enumerate(given, 2)]
    return f"""
INSERT INTO {TABLES[entity]} AS t (id, {", ".join((*_MARKERS, "doc", *columns))})
SELECT id, version, coalesce(version_minor, 0), changed_at,
    CASE WHEN deleted THEN changed_at END, src_partition, src_offset,
    nullif(doc, '')::jsonb, {", ".join(columns.values())}
FROM (SELECT unnest(string_to_array($1, E'\\n')) AS doc, {", ".join(arrays)}) AS u
ON CONFLICT (id) DO UPDATE SET {", ".join(sets)}
WHERE {newer("excluded")}"""


def topic_parameter(entity: Entity, *, by_lsn: bool = False) -> int:
    """The number of the parameter behind the documents and the arrays, where there is a topic."""
    return len(_GIVEN) + len(COLUMNS[entity]) + by_lsn + (entity is Entity.TASKS) + 2


def behind_arrays(entity: Entity, topic: str, steps: str | None) -> list[str | None]:
    """The arguments of an upsert behind the arrays; ``steps`` is what ``finishes.steps`` gives."""
    match entity:
        case Entity.TASKS:
            return [topic, steps]
        case Entity.EXECUTIONS | Entity.BUILDS:
            return [topic]
        case _:
            return []


def _add(figures: tuple[str, ...]) -> str:
    return ", ".join(f"{f} = p.{f} + excluded.{f}" for f in figures)


def _tasks(changed: str, topic: str) -> str:
    """Sums up what ``changed`` moves; ``topic`` is the parameter that names it."""
    return f"""
WITH up AS ({changed}
    RETURNING new.src_partition AS p, old.agent AS old_agent, old.status AS old_status,
        new.agent AS new_agent, new.status AS new_status
), pairs AS (
    SELECT p, old_agent, old_status, new_agent, new_status, count(*) AS n FROM up
    GROUP BY p, old_agent, old_status, new_agent, new_status
), moves AS (
    SELECT p, new_agent AS agent, new_status AS status, n AS w FROM pairs
    WHERE new_agent IS NOT NULL
    UNION ALL
    SELECT p, old_agent, old_status, -n FROM pairs WHERE old_agent IS NOT NULL
)
INSERT INTO agent_stats_partials AS p
    (topic, partition, agent, total_tasks, completed_tasks, failed_tasks, running_tasks,
     active_tasks)
SELECT {topic}, p, agent, sum(w),
    coalesce(sum(w) FILTER (WHERE status = 'done'), 0),
    coalesce(sum(w) FILTER (WHERE status = 'failed'), 0),
    coalesce(sum(w) FILTER (WHERE status = 'running'), 0),
    coalesce(sum(w) FILTER (WHERE status IN ('pending', 'ready', 'running')), 0)
FROM moves GROUP BY p, agent ORDER BY agent, p
ON CONFLICT (agent, topic, partition) DO UPDATE SET {_add(NAME_FIGURES)}
RETURNING partition, agent, {as_given(NAME_FIGURES)},
    {", ".join(f"new.{f} - coalesce(old.{f}, 0) AS added_{f}" for f in ADDED_BY_TASKS)}"""


def _executions(changed: str, topic: str) -> str:
    """As ``_tasks``; ``touched`` is the first time from which an agent's executions differ, and
    ``newest`` the last of those that are its own now, as text (-infinity: there is none).
    """
    return f"""
WITH up AS ({changed}
    RETURNING new.src_partition AS p, old.agent AS old_agent, old.duration AS old_duration,
        old.timestamp AS old_at, new.agent AS new_agent, new.duration AS new_duration,
        new.timestamp AS new_at
), moves AS (
    SELECT p, new_agent AS agent, new_duration AS d, new_at AS at, 1 AS w
    FROM up WHERE new_agent IS NOT NULL
    UNION ALL
    SELECT p, old_agent, old_duration, old_at, -1 FROM up WHERE old_agent IS NOT NULL
), sums AS (
    SELECT p, agent, coalesce(sum(w) FILTER (WHERE d IS NOT NULL), 0) AS executions,
        coalesce(sum(w * d), 0) AS duration_sum, min(at) AS touched,
        coalesce(max(at) FILTER (WHERE w > 0), '-infinity') AS newest
    FROM moves GROUP BY p, agent
), added AS (
    INSERT INTO agent_stats_partials AS p (topic, partition, agent, executions, duration_sum)
    SELECT {topic}, p, agent, executions, duration_sum FROM sums ORDER BY agent, p
    ON CONFLICT (agent, topic, partition) DO UPDATE SET {_add(NAME_FIGURES)}
    RETURNING partition, agent, {as_given(NAME_FIGURES)}
)
SELECT added.*, sums.executions AS added_executions, sums.duration_sum::text AS added_duration_sum,
    sums.touched, sums.newest::text AS newest
FROM added
JOIN sums ON sums.p = added.partition AND sums.agent = added.agent"""


def _builds(changed: str, topic: str) -> str:
    duration = "extract(epoch FROM {0}.completed_at - {0}.started_at) * 1000"
    timed = "CASE WHEN {0}.status = 'completed' THEN " + duration + " END"
    return f"""
WITH up AS ({changed}
    RETURNING new.src_partition AS p,
        old.status AS old_status, {timed.format("old")} AS old_ms,
        new.status AS new_status, {timed.format("new")} AS new_ms
), moves AS (
    SELECT p, new_status AS status, new_ms AS ms, 1 AS w FROM up WHERE new_status IS NOT NULL
    UNION ALL
    SELECT p, old_status, old_ms, -1 FROM up WHERE old_status IS NOT NULL
)
INSERT INTO build_stats_partials AS p
    (topic, partition, total_builds, completed_builds, failed_builds, running_builds,
     timed_builds, duration_sum_ms)
SELECT {topic}, p, sum(w),
    coalesce(sum(w) FILTER (WHERE status = 'completed'), 0),
    coalesce(sum(w) FILTER (WHERE status = 'failed'), 0),
    coalesce(sum(w) FILTER (WHERE status = 'running'), 0),
    coalesce(sum(w) FILTER (WHERE ms IS NOT NULL), 0), coalesce(sum(w * ms), 0)
FROM moves GROUP BY p ORDER BY p
ON CONFLICT (topic, partition) DO UPDATE SET {_add(BUILD_FIGURES)}
RETURNING partition, {as_given(BUILD_FIGURES)}"""


def with_moves(entity: Entity, changed: str, topic: str) -> str:
    """``changed``, which writes rows of the entity, with what follows from it for the figures."""
    match entity:
        case Entity.TASKS:
            return _tasks(changed, topic)
        case Entity.EXECUTIONS:
            return _executions(changed, topic)
        case Entity.BUILDS:
            return _builds(changed, topic)
        case Entity.AGENTS:
            return f"{changed}\nRETURNING new.id AS id, old.name AS old_name, new.name AS new_name"
        case _:
            return changed


def _upserts(*, by_lsn: bool) -> dict[Entity, str]:
    return {
        entity: with_moves(
            entity, _upsert(entity, by_lsn=by_lsn), f"${topic_parameter(entity, by_lsn=by_lsn)}"
        )
        for entity in Entity
    }


#: Upserts by entity. Parameters: the documents, a line each (empty = none); the arrays of
#: ``Change`` in the order id, number, minor, changed_ms, deleted, partition, offset, typed columns;
#: of tasks since when they have their status; then, where figures are kept, the topic; then of
#: tasks ``finishes.steps``. An array may be empty where all values are 0 (minor), false (deleted)
#: or changed_ms (since). Rows that an older or equal version would change are left alone and
#: not returned. (Arrays side by side in a list of columns are read as they come; in FROM each would
#: be stored first.)
UPSERT: dict[Entity, str] = _upserts(by_lsn=False)
#: The same where versions are lsns: the offset is the place, and the sources' generations follow
#: the typed columns.
UPSERT_BY_LSN: dict[Entity, str] = _upserts(by_lsn=True)


def _stored_documents(entity: Entity, condition: str) -> str:
    typed = "".join(f", {c}{'::text' if c == 'duration' else ''}" for c in COLUMNS[entity])
    return f"""
SELECT id, version_generation, version, version_minor, changed_at, src_partition, src_offset,
    doc::text AS doc{typed}
FROM {TABLES[entity]} WHERE id = ANY($1::text[]) AND {condition}
ORDER BY id COLLATE "C" FOR UPDATE"""


#: Reads and locks the rows, deleted ones too, that changes with unavailable fields build on
#: ($1: ids).
STORED_DOCUMENTS: dict[Entity, str] = {
    entity: _stored_documents(entity, "true") for entity in Entity
}
#: Likewise the rows with a version of the source's log whose documents lack one of the fields $2.
STORED_WITHOUT_FIELDS: dict[Entity, str] = {
    entity: _stored_documents(
        entity, "(version > 0 OR version_minor >= 0) AND doc IS NOT NULL AND NOT doc ?& $2::text[]"
    )
    for entity in Entity
}
