"""The figures counted anew from documents, in the plainest way: what tests hold the product to.

Nothing here is incremental, nothing is shared with the stream, and every rule of
docs/reading.md is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec

from nova_stream.events.change import ACTIVE_TASK_STATUSES, Change, Entity
from nova_stream.events.lines import ChangeLine
from nova_stream.events.times import parse_time
from nova_stream.formulas import mean_duration, success_rate

Document = Mapping[str, Any]

_MILLISECOND = timedelta(milliseconds=1)
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class AgentFigures(msgspec.Struct, frozen=True, rename="camel"):
    """The figures of one agent; ``agent_id`` and ``role`` are None for an unregistered name."""

    agent_id: str | None
    agent_name: str
    role: str | None
    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    success_rate: float
    avg_duration: float
    last_active: datetime | None
    current_status: str


class BuildFigures(msgspec.Struct, frozen=True, rename="camel"):
    """The figures of all builds."""

    total_builds: int
    completed_builds: int
    failed_builds: int
    running_builds: int
    success_rate: float
    avg_duration_ms: float
    last_build_time: datetime | None


class OverviewFigures(msgspec.Struct, frozen=True, rename="camel"):
    """The figures of the whole platform."""

    total_builds: int
    completed_builds: int
    failed_builds: int
    success_rate: float
    active_tasks: int
    completed_tasks: int
    last_build_time: datetime | None
    total_agents: int


class Recount(msgspec.Struct, frozen=True):
    """All figures: registered agents by id, other names that have tasks or executions by name."""

    agents: dict[str, AgentFigures]
    unregistered: dict[str, AgentFigures]
    builds: BuildFigures
    overview: OverviewFigures


class Revision(NamedTuple):
    """One change of one entity; ``document`` is None for a deletion."""

    entity: Entity
    id: str
    number: int
    minor: int
    document: Document | None


def revision_of_line(line: ChangeLine) -> Revision:
    """A published line as a revision; the line must have a ``seq``."""
    assert line.seq is not None
    return Revision(line.entity, line.id, line.seq, line.minor, line.after)


def revision_of_change(entity: Entity, change: Change) -> Revision:
    """A decoded change as a revision; it must have come without unavailable fields."""
    assert not change.unavailable
    document = None if change.doc is None else _decode(change.doc)
    return Revision(entity, change.id, change.number, change.minor, document)


def final_documents(changes: Iterable[Revision]) -> dict[Entity, list[Document]]:
    """The documents that stand after a history, given in any order, by entity.

    The highest (number, minor) of an entity's id wins, of equal ones the first given; a deletion
    that wins leaves no document.
    """
    winners: dict[tuple[Entity, str], Revision] = {}
    for change in changes:
        known = winners.get((change.entity, change.id))
        if known is None or (change.number, change.minor) > (known.number, known.minor):
            winners[change.entity, change.id] = change
    found: dict[Entity, list[Document]] = {entity: [] for entity in Entity}
    for winner in winners.values():
        if winner.document is not None:
            found[winner.entity].append(winner.document)
    return found


def recount_history(changes: Iterable[Revision]) -> Recount:
    """``recount`` of what stands after a history of changes."""
    final = final_documents(changes)
    return recount(
        final[Entity.AGENTS], final[Entity.BUILDS], final[Entity.TASKS], final[Entity.EXECUTIONS]
    )


def recount(
    agents: Iterable[Document],
    builds: Iterable[Document],
    tasks: Iterable[Document],
    executions: Iterable[Document],
) -> Recount:
    """All figures of these documents, which are what stands now: no versions, no deletions.

    Field names are the main app's (camelCase), times may have any form of the contract, durations
    are ints, floats (their shortest text counts), Decimals or text. Raises RejectedError for a
    time that cannot be read.
    """
    tasks_of = _by_agent(tasks)
    executions_of = _by_agent(executions)
    registered = list(agents)
    names = {agent["name"] for agent in registered}
    build_figures = _build_figures(list(builds))
    return Recount(
        agents={
            agent["id"]: _agent_figures(
                agent, tasks_of.get(agent["name"], []), executions_of.get(agent["name"], [])
            )
            for agent in registered
        },
        unregistered={
            name: _agent_figures(
                {"name": name}, tasks_of.get(name, []), executions_of.get(name, [])
            )
            for name in (tasks_of.keys() | executions_of.keys()) - names
        },
        builds=build_figures,
        overview=_overview(
            build_figures, [t for own in tasks_of.values() for t in own], len(registered)
        ),
    )


class Ended(NamedTuple):
    """A task or build that ended: whose it was (of a task its agent), as what, and when."""

    agent: str
    status: str
    at: datetime
    duration: Fraction | None = None


class Executed(NamedTuple):
    """An execution, with its duration in milliseconds."""

    agent: str
    at: datetime
    duration: Fraction | None


class Done(msgspec.Struct, frozen=True):
    """What was done in a range of time; of builds ``executions`` are those with a duration."""

    completed: int
    failed: int
    success_rate: float | None
    executions: int
    mean: float | None
    percentiles: tuple[Fraction | float, ...] | None


def recount_range(
    ended: Iterable[Ended], executed: Iterable[Executed], start: datetime, end: datetime
) -> Done:
    """What was done from ``start`` to before ``end``, whoever did it."""
    statuses = [item.status for item in ended if start <= item.at < end]
    failed = statuses.count("failed")
    completed = len(statuses) - failed
    executions = [item for item in executed if start <= item.at < end]
    durations = sorted(item.duration for item in executions if item.duration is not None)
    return Done(
        completed=completed,
        failed=failed,
        success_rate=success_rate(completed, len(statuses)) if statuses else None,
        executions=len(executions),
        mean=mean_duration(sum(durations, Fraction(0)), len(durations)) if durations else None,
        percentiles=tuple(
            durations[-(-percent * len(durations) // 100) - 1] for percent in (50, 95, 99)
        )
        if durations
        else None,
    )


def finished_at(statuses: Iterable[tuple[str | None, datetime]]) -> datetime | None:
    """Since when a task has its last status; ``statuses`` are those of all changes that counted,
    with their times, oldest version first, None of deletions.
    """
    since: tuple[str | None, datetime | None] = (None, None)
    for status, at in statuses:
        if status != since[0]:
            since = (status, at)
    return since[1]


def _by_agent(documents: Iterable[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for document in documents:
        found.setdefault(document.get("agent") or "", []).append(document)
    return found


def _agent_figures(
    agent: Document, tasks: list[Document], executions: list[Document]
) -> AgentFigures:
    statuses = [task["status"] for task in tasks]
    durations = [_exact(e["duration"]) for e in executions if e.get("duration") is not None]
    return AgentFigures(
        agent_id=agent.get("id"),
        agent_name=agent["name"],
        role=agent.get("role"),
        total_tasks=len(tasks),
        completed_tasks=statuses.count("done"),
        failed_tasks=statuses.count("failed"),
        success_rate=success_rate(statuses.count("done"), len(tasks)),
        avg_duration=mean_duration(sum(durations, Fraction(0)), len(durations)),
        last_active=_newest(executions, "timestamp") or _instant(agent, "createdAt"),
        current_status="active" if "running" in statuses else "idle",
    )


def _build_figures(builds: list[Document]) -> BuildFigures:
    statuses = [build["status"] for build in builds]
    durations = [
        (completed - started) // _MILLISECOND
        for build in builds
        if build["status"] == "completed"
        and (started := _instant(build, "startedAt")) is not None
        and (completed := _instant(build, "completedAt")) is not None
    ]
    return BuildFigures(
        total_builds=len(builds),
        completed_builds=statuses.count("completed"),
        failed_builds=statuses.count("failed"),
        running_builds=statuses.count("running"),
        success_rate=success_rate(statuses.count("completed"), len(builds)),
        avg_duration_ms=mean_duration(sum(durations), len(durations)),
        last_build_time=_newest(builds, "completedAt"),
    )


def _overview(builds: BuildFigures, tasks: list[Document], agents: int) -> OverviewFigures:
    return OverviewFigures(
        total_builds=builds.total_builds,
        completed_builds=builds.completed_builds,
        failed_builds=builds.failed_builds,
        success_rate=builds.success_rate,
        active_tasks=sum(task["status"] in ACTIVE_TASK_STATUSES for task in tasks),
        completed_tasks=sum(task["status"] == "done" for task in tasks),
        last_build_time=builds.last_build_time,
        total_agents=agents,
    )


def _exact(duration: object) -> Fraction:
    text = repr(duration) if isinstance(duration, float) else str(duration)
    return Fraction(Decimal(text))


def _instant(document: Document, field: str) -> datetime | None:
    value = document.get(field)
    return None if value is None else parse_time(value, field)


def _newest(documents: list[Document], field: str) -> datetime | None:
    instants = (_instant(document, field) for document in documents)
    return max((instant for instant in instants if instant is not None), default=None)
