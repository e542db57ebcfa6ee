"""What must stand in Postgres after the events, and what is wrong with what stands there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from typing import Any, NamedTuple

from benchmarks.workload import history
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.formulas import mean_duration
from nova_stream.kafka.records import partition_of
from nova_stream.storage.database import Connection

#: The agent of the last records of the topics' partitions.
LAST = "LAST"
#: The share of tasks that change their agent.
MOVES = 0.05

_STORED = (Entity.AGENTS, Entity.BUILDS, Entity.TASKS, Entity.EXECUTIONS)

#: A row without its entity and id: seq, agent, status, duration.
Row = tuple[int, str | None, str | None, Decimal | None]
#: total, completed, failed, avg_duration
Agent = tuple[int, int, int, float]
#: total, completed, failed, running
Builds = tuple[int, int, int, int]

_ROWS = "SELECT entity, id, seq, agent, status, duration FROM peer.rows"
_AGENTS = "SELECT agent, total, completed, failed, avg_duration FROM peer.agents"
_BUILDS = "SELECT total, completed, failed, running FROM peer.builds"
#: One statement, so one snapshot: registered agents whose statistics are not the recount of the
#: rows (nova-stream keeps none of others in its cache), and whether the builds' are not.
_DIFFER = """
SELECT (SELECT count(*) FROM (
    SELECT agent, count(*) FILTER (WHERE entity = 'tasks') AS total,
        count(*) FILTER (WHERE entity = 'tasks' AND status = 'done') AS completed,
        count(*) FILTER (WHERE entity = 'tasks' AND status = 'failed') AS failed,
        coalesce(floor(sum(duration)::float8
            / nullif(count(*) FILTER (WHERE entity = 'executions'), 0) + 0.5), 0) AS avg_duration
    FROM peer.rows WHERE entity IN ('tasks', 'executions') GROUP BY agent) AS counted
  FULL JOIN peer.agents AS kept USING (agent)
  WHERE agent IN (SELECT agent FROM peer.rows WHERE entity = 'agents')
    AND (coalesce(counted.total, 0), coalesce(counted.completed, 0), coalesce(counted.failed, 0),
      coalesce(counted.avg_duration, 0)::float8)
    IS DISTINCT FROM (coalesce(kept.total, 0), coalesce(kept.completed, 0),
      coalesce(kept.failed, 0), coalesce(kept.avg_duration, 0)::float8))
+ (SELECT count(*) FROM (
    SELECT count(*) AS total, count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'running') AS running
    FROM peer.rows WHERE entity = 'builds') AS counted
  LEFT JOIN peer.builds AS kept ON true
  WHERE (counted.total, counted.completed, counted.failed, counted.running)
    IS DISTINCT FROM (coalesce(kept.total, 0), coalesce(kept.completed, 0),
      coalesce(kept.failed, 0), coalesce(kept.running, 0)))
"""


class Figures(NamedTuple):
    """Rows by entity and id, and the statistics that follow from them."""

    rows: dict[tuple[str, str], Row]
    agents: dict[str, Agent]
    builds: Builds


def events_of(count: int, partitions: int) -> Iterator[ChangeLine]:
    """A history with duplicates, old versions and moves, then one last record a partition.

    The last ones belong to the agent ``LAST``: whoever has applied them in order has applied all.
    """
    return chain(history(count, moves=MOVES), last_records(count, partitions))


def last_records(count: int, partitions: int) -> Iterator[ChangeLine]:
    """One record for each partition of each topic, newer than all of ``count`` events."""
    documents: dict[Entity, dict[str, Any]] = {
        Entity.AGENTS: {"name": LAST},
        Entity.BUILDS: {"status": "completed"},
        Entity.TASKS: {"agent": LAST, "buildId": "b", "title": "last", "status": "done"},
        Entity.EXECUTIONS: {"agent": LAST, "taskId": "t", "duration": 1000},
    }
    number = count
    for entity, document in documents.items():
        for partition, identity in enumerate(_ids_of_all(entity, partitions)):
            number += 1
            after = {"id": identity, **document}
            if entity is Entity.AGENTS and partition:  # a name is one agent's
                after["name"] = f"{LAST}-{partition}"
            yield change_line({"entity": entity.value, "op": "c", "seq": number, "after": after})


def last_ids(partitions: int) -> list[str]:
    """The ids of ``last_records``."""
    return [identity for entity in _STORED for identity in _ids_of_all(entity, partitions)]


def _ids_of_all(entity: Entity, partitions: int) -> list[str]:
    """An id for each partition, in their order."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        identity = f"last-{entity.value}-{number}"
        found.setdefault(partition_of(identity.encode(), partitions), identity)
        number += 1
    return [found[partition] for partition in range(partitions)]


def figures_of(lines: Iterable[ChangeLine]) -> Figures:
    """What stands after these events, counted in the plainest way."""
    newest: dict[tuple[str, str], ChangeLine] = {}
    for line in lines:
        known = newest.get((line.entity.value, line.id))
        assert line.seq is not None
        if known is None or line.seq > (known.seq or 0):
            newest[line.entity.value, line.id] = line
    return count_rows({place: _row(line) for place, line in newest.items()})


def count_rows(rows: dict[tuple[str, str], Row]) -> Figures:
    """Rows with the statistics that follow from them."""
    status: dict[str, Counter[str | None]] = defaultdict(Counter)
    durations: dict[str, list[Decimal]] = defaultdict(list)
    builds: Counter[str | None] = Counter()
    for (entity, _), (_, agent, state, duration) in rows.items():
        if entity == "builds":
            builds[state] += 1
        elif entity == "tasks":
            status[agent or ""][state] += 1
        elif entity == "executions":
            durations[agent or ""].append(duration or Decimal(0))
    agents = {
        name: (
            status[name].total(),
            status[name]["done"],
            status[name]["failed"],
            mean_duration(sum(durations[name], Decimal(0)), len(durations[name])),
        )
        for name in status.keys() | durations.keys()
    }
    counted = (builds.total(), builds["completed"], builds["failed"], builds["running"])
    return Figures(rows, agents, counted)


def _row(line: ChangeLine) -> Row:
    document = line.after or {}
    agent = document.get("name" if line.entity is Entity.AGENTS else "agent")
    duration = document.get("duration")
    exact = None if duration is None else Decimal(str(duration))
    return line.seq or 0, agent, document.get("status"), exact


async def found_rows(connection: Connection) -> dict[tuple[str, str], Row]:
    """The rows in the database, as one snapshot has them."""
    return {(row[0], row[1]): tuple(row)[2:] for row in await connection.fetch(_ROWS)}


async def found_agents(connection: Connection) -> dict[str, Agent]:
    """The statistics in the database of agents that have any."""
    found = {}
    for row in await connection.fetch(_AGENTS):
        figures = (row[1] or 0, row[2] or 0, row[3] or 0, float(row[4] or 0))
        if any(figures):
            found[row[0]] = figures
    return found


async def found_builds(connection: Connection) -> Builds:
    """The statistics of builds in the database."""
    row = await connection.fetchrow(_BUILDS)
    return (0, 0, 0, 0) if row is None else (row[0], row[1], row[2], row[3])


async def statistics_differ(connection: Connection) -> bool:
    """Whether statistics and rows differ in the snapshot of one statement."""
    return bool(await connection.fetchval(_DIFFER))


def wrong_rows(found: Mapping[tuple[str, str], Row], wanted: Figures) -> list[str]:
    """A line for each row that is missing, too much or another."""
    return [
        f"{entity} {id_}: {found.get((entity, id_))} is not {wanted.rows.get((entity, id_))}"
        for entity, id_ in sorted(found.keys() | wanted.rows.keys())
        if found.get((entity, id_)) != wanted.rows.get((entity, id_))
    ]


def wrong_statistics(agents: Mapping[str, Agent], builds: Builds, wanted: Figures) -> list[str]:
    """A line for each agent whose figures are wrong, and one for the builds."""
    wrong = [
        f"{name}: {agents.get(name)} is not {wanted.agents.get(name)}"
        for name in sorted(agents.keys() | wanted.agents.keys())
        if agents.get(name) != wanted.agents.get(name)
    ]
    return wrong + ([] if builds == wanted.builds else [f"builds: {builds} is not {wanted.builds}"])
