"""The reference data: every job in the order of the expected file gives what the app computes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nova_stream.clock import to_millis
from nova_stream.events.change import Entity
from nova_stream.events.times import parse_time, time_text
from nova_stream.jobs.registry import JOBS
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.database import connect
from nova_stream.storage.stats import read
from tests import reference
from tests.integration.jobs.work import NEVER, NOON, Runs, id_set
from tests.integration.stream.harness import Stage, open_stage

pytestmark = pytest.mark.integration

RUN = {job.name: job.run_once for job in JOBS}


@pytest.fixture
def stage(
    nova_kafka: str, migrated_database: str, nova_topic_prefix: str, tmp_path: Path
) -> Iterator[Stage]:
    with open_stage(nova_kafka, migrated_database, nova_topic_prefix, tmp_path) as found:
        found.settings = found.settings.model_copy(
            update={"archive_url": f"file://{tmp_path}/archive", "stall_basis": "started"}
        )
        yield found


def lines() -> list[dict[str, Any]]:
    """Every document, changed when it was made."""
    documents = reference.documents()
    return [
        {
            "entity": entity,
            "seq": number,
            "ts_ms": to_millis(
                parse_time(
                    document.get("createdAt") or document.get("timestamp") or document["startedAt"],
                    "time",
                )
            ),
            "after": document,
        }
        for entity in Entity
        for number, document in enumerate(documents[entity.value], 1)
    ]


@pytest.mark.long
async def test_every_step(stage: Stage) -> None:
    steps = reference.steps()
    stage.start_worker(**NEVER)
    runs = Runs(stage.settings)
    async with ChangePublisher(stage.settings) as publisher:
        runs.publisher = publisher
        await publisher.publish(lines())
        await stage.caught_up()
        await agents(runs, steps)
        await stalled(runs, steps)
        await retention(runs, steps)
    await stage.caught_up()


async def agents(runs: Runs, steps: dict[str, Any]) -> None:
    wanted = steps["computeAgentStats"]
    found = await runs.run(RUN["computeAgentStats"])
    assert found.items() >= wanted["result"].items()
    assert found["drift"] == 0
    assert await cache(runs) == wanted["agentStatsCache"]

    health = await runs.run(RUN["healthCheck"])
    assert health.items() >= steps["healthCheck"].items()
    builds = await runs.run(RUN["refreshBuildStats"])
    assert builds.items() >= refreshed(steps["refreshBuildStats"]).items()
    assert builds["drift"] == 0


async def stalled(runs: Runs, steps: dict[str, Any]) -> None:
    wanted = steps["checkStalledBuilds"]
    own = await runs.run(RUN["checkStalledBuilds"], dry_run=True, stall_basis="activity")
    assert id_set(own["builds"]).items() <= wanted["ownStalledByLastExecution"].items()
    dry = await runs.run(RUN["checkStalledBuilds"], dry_run=True)
    assert dry["stalled"] == wanted["result"]["stalled"]

    found = await runs.run(RUN["checkStalledBuilds"])
    assert found.items() >= {**wanted["result"], "applied": True}.items()
    changed = await runs.fetch(
        "SELECT id, doc::text FROM builds WHERE completed_at = $1 ORDER BY id", NOON
    )
    assert [msgspec.json.decode(row["doc"]) for row in changed] == wanted["changedBuilds"]

    again = steps["checkStalledBuildsAgain"]
    assert (await runs.run(RUN["checkStalledBuilds"])).items() >= again["result"].items()
    assert len(await runs.ids("agent_activity_feed")) == again["activities"]
    builds = await runs.run(RUN["refreshBuildStats"])
    assert builds.items() >= refreshed(steps["refreshBuildStatsAfterStall"]).items()
    connection = await connect(runs.settings, "test")
    try:
        overview = msgspec.to_builtins(await read.overview(connection))
    finally:
        await connection.close()
    assert overview == steps["getOverviewStatsAfterStall"]


async def retention(runs: Runs, steps: dict[str, Any]) -> None:
    wanted = steps["cleanupOldActivity"]
    known = await runs.ids("agent_activity_feed")
    assert (await runs.run(RUN["cleanupOldActivity"])).items() >= wanted["result"].items()
    left = await runs.ids("agent_activity_feed", "true")
    assert id_set(set(known) - set(left)) == wanted["deleted"]
    logged = [id_ for id_ in left if id_.startswith("stalled-")]
    assert len(logged) == wanted["loggedByStallCheckKept"]
    assert id_set(set(left) - set(logged)) == wanted["remaining"]

    wanted = steps["compactOldExecutions"]
    assert (await runs.run(RUN["compactOldExecutions"])).items() >= wanted["result"].items()
    assert id_set(await runs.ids("executions")) == wanted["remaining"]

    wanted = steps["markInactiveUsers"]
    assert (await runs.run(RUN["markInactiveUsers"])).items() >= wanted["result"].items()
    assert id_set(await runs.ids("user_profiles")) == wanted["remaining"]
    assert len(await runs.ids("inactive_users", "true")) == wanted["result"]["inactive"]

    health = await runs.run(RUN["healthCheck"])
    assert health.items() >= steps["healthCheckAfter"].items()
    later = steps["computeAgentStatsFiveMinutesLater"]
    earlier = await cache(runs)
    found = await runs.run(RUN["computeAgentStats"], NOON + timedelta(minutes=5))
    assert found.items() >= {**later["result"], "drift": 0}.items()
    rows = await cache(runs)
    assert {row.pop("cachedAt") for row in rows} == set(later["cachedAt"])
    for row in earlier:
        row.pop("cachedAt")
    assert rows == earlier
    assert (await audit(runs.settings)).differences == []


def refreshed(step: dict[str, Any]) -> dict[str, Any]:
    """The guide's reading: the mean of completed builds only."""
    return {**step["result"], "avgDurationMs": step["ownCompletedOnly"]["avgDurationMs"]}


async def cache(runs: Runs) -> list[dict[str, Any]]:
    rows = await runs.fetch("SELECT * FROM agent_stats_cache ORDER BY agent_id")
    return [
        {
            "agentId": row["agent_id"],
            "agentName": row["agent_name"],
            "avgDuration": row["avg_duration"],
            "cachedAt": time_text(row["cached_at"]),
            "completedTasks": row["completed_tasks"],
            "currentStatus": row["current_status"],
            "failedTasks": row["failed_tasks"],
            "lastActive": time_text(row["last_active"]),
            "role": row["role"],
            "successRate": row["success_rate"],
            "totalTasks": row["total_tasks"],
        }
        for row in rows
    ]
