"""The reference data through flush and HTTP: the figures that the main app itself computes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx
import pytest

from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import AuditReport, audit
from tests import reference

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]
ENTITIES = ("agents", "builds", "tasks", "executions", "users", "activities")


async def test_the_reference_data(
    client: httpx.AsyncClient, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    given = reference.documents()
    steps = reference.steps()
    await apply_lines([{"entity": e, "after": document} for e in ENTITIES for document in given[e]])

    items = (await client.get("/api/v1/agents/stats")).json()["items"]
    added = {"cachedAt", "registered"}
    assert [_without(item, added) for item in items] == sorted(
        (_without(row, added) for row in steps["computeAgentStats"]["agentStatsCache"]),
        key=lambda row: (row["lastActive"], row["agentName"]),
        reverse=True,
    )
    assert (await client.get("/api/v1/overview")).json() == steps["getOverviewStats"]
    builds = (await client.get("/api/v1/builds/stats")).json()
    expected = {
        **_without(steps["refreshBuildStats"]["result"], {"timestamp"}),
        "avgDurationMs": steps["refreshBuildStats"]["ownCompletedOnly"]["avgDurationMs"],
    }
    assert builds.items() >= expected.items()
    assert await audit(nova_settings) == AuditReport(agents=21, differences=[])


def _without(row: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
