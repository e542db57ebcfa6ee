"""The plain recount: each rule of docs/reading.md by an example, and the reference data."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from nova_stream.clock import isoformat
from nova_stream.events.change import Entity
from nova_stream.events.lines import change_line
from tests import reference
from tests.recount import (
    AgentFigures,
    Recount,
    Revision,
    final_documents,
    recount,
    recount_history,
    revision_of_line,
)

NOON = "2026-02-20T12:00:00.000Z"
LATER = "2026-02-20T12:00:01.500Z"


def agent(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"agent-{name}", "name": name, "role": "r", "createdAt": NOON, **fields}


def figures(**documents: list[dict[str, Any]]) -> Recount:
    return recount(*(documents.get(e, []) for e in ("agents", "builds", "tasks", "executions")))


def test_an_agent_without_tasks() -> None:
    found = figures(agents=[agent("MARS")]).agents["agent-MARS"]
    assert found == AgentFigures(
        agent_id="agent-MARS",
        agent_name="MARS",
        role="r",
        total_tasks=0,
        completed_tasks=0,
        failed_tasks=0,
        success_rate=0,
        avg_duration=0,
        last_active=datetime(2026, 2, 20, 12, tzinfo=UTC),
        current_status="idle",
    )


def test_tasks_count_by_status_and_name() -> None:
    statuses = ("done", "done", "failed", "running", "pending", "blocked")
    tasks = [{"id": str(n), "agent": "MARS", "status": s} for n, s in enumerate(statuses)]
    tasks.append({"id": "x", "agent": "VENUS", "status": "done"})
    found = figures(agents=[agent("MARS")], tasks=tasks)
    mars, venus = found.agents["agent-MARS"], found.unregistered["VENUS"]
    assert (mars.total_tasks, mars.completed_tasks, mars.failed_tasks) == (6, 2, 1)
    assert (mars.success_rate, mars.current_status) == (33.33, "active")
    assert (venus.total_tasks, venus.agent_id, venus.last_active) == (1, None, None)
    assert (found.overview.active_tasks, found.overview.completed_tasks) == (2, 3)


def test_executions_count_for_their_own_agent_and_exactly() -> None:
    executions: list[dict[str, Any]] = [
        {"id": "1", "agent": "MARS", "taskId": "unknown", "duration": 0.1, "timestamp": NOON},
        {"id": "2", "agent": "MARS", "duration": Decimal("2.4"), "timestamp": LATER},
        {"id": "3", "agent": "MARS", "duration": "2.5"},
        {"id": "4", "agent": "MARS"},
    ]
    found = figures(agents=[agent("MARS")], executions=executions).agents["agent-MARS"]
    assert found.avg_duration == 2
    assert found.last_active == datetime(2026, 2, 20, 12, 0, 1, 500_000, tzinfo=UTC)


def test_two_agents_of_one_name_both_show_its_counts() -> None:
    task = {"id": "1", "agent": "MARS", "status": "done"}
    found = figures(agents=[agent("MARS"), agent("MARS", id="second")], tasks=[task]).agents
    assert found["agent-MARS"].total_tasks == found["second"].total_tasks == 1


def test_builds() -> None:
    builds = [
        {"id": "1", "status": "completed", "startedAt": NOON, "completedAt": LATER},
        {"id": "2", "status": "completed", "startedAt": NOON},
        {"id": "3", "status": "failed", "startedAt": NOON, "completedAt": "2026-02-21T00:00:00Z"},
        {"id": "4", "status": "running", "startedAt": NOON},
    ]
    found = figures(builds=builds).builds
    assert (found.total_builds, found.completed_builds) == (4, 2)
    assert (found.failed_builds, found.running_builds) == (1, 1)
    assert (found.success_rate, found.avg_duration_ms) == (50, 1500)
    assert found.last_build_time == datetime(2026, 2, 21, tzinfo=UTC)


def test_the_highest_version_wins_and_the_first_of_equal_ones() -> None:
    def revision(number: int, minor: int, title: str | None) -> Revision:
        document = None if title is None else {"id": "t", "title": title}
        return Revision(Entity.TASKS, "t", number, minor, document)

    def winner(*changes: Revision) -> Any:
        return [document["title"] for document in final_documents(changes)[Entity.TASKS]]

    old, new, added = revision(1, 0, "old"), revision(2, 0, "new"), revision(1, 1, "added")
    assert winner(new, old, added) == ["new"]
    assert winner(added, old) == ["added"]
    assert winner(new, revision(2, 0, "late")) == ["new"]
    assert winner(new, revision(3, 0, None), old) == []
    assert winner(revision(3, 0, None), revision(4, 0, "back"), new) == ["back"]


def test_a_history_of_lines() -> None:
    lines = [
        {"entity": "agents", "seq": 1, "after": agent("MARS")},
        {"entity": "tasks", "seq": 2, "after": {"id": "t", "agent": "MARS", "status": "running"}},
        {"entity": "tasks", "seq": 1, "after": {"id": "t", "agent": "MARS", "status": "done"}},
        {"entity": "tasks", "seq": 9, "op": "d", "before": {"id": "gone"}},
        {"entity": "tasks", "seq": 8, "after": {"id": "gone", "agent": "X", "status": "done"}},
    ]
    found = recount_history(revision_of_line(change_line(line)) for line in lines)
    assert found.agents["agent-MARS"].current_status == "active"
    assert found.unregistered == {}


def test_the_reference_data() -> None:
    given = reference.documents(parse_float=Decimal)
    steps = reference.steps()

    found = recount(given["agents"], given["builds"], given["tasks"], given["executions"])

    expected = {
        row["agentId"]: {k: v for k, v in row.items() if k != "cachedAt"}
        for row in steps["computeAgentStats"]["agentStatsCache"]
    }
    assert {id_: _plain(row) for id_, row in found.agents.items()} == expected
    assert _plain(found.overview) == steps["getOverviewStats"]
    builds = {**steps["refreshBuildStats"]["result"]}
    builds["avgDurationMs"] = steps["refreshBuildStats"]["ownCompletedOnly"]["avgDurationMs"]
    del builds["timestamp"]
    assert _plain(found.builds).items() >= builds.items()


def _plain(row: msgspec.Struct) -> dict[str, Any]:
    fields: dict[str, Any] = {
        field.encode_name: getattr(row, field.name) for field in msgspec.structs.fields(row)
    }
    return {k: isoformat(v) if isinstance(v, datetime) else v for k, v in fields.items()}
