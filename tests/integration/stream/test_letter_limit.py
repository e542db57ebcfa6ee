"""One bad release of a producer stops its partition, and hides nothing."""

from __future__ import annotations

import json

import pytest

from nova_stream.clock import system_clock
from nova_stream.events.change import Entity
from nova_stream.jobs.alerting.alerts import Alerts
from nova_stream.jobs.alerting.telling import channels
from tests.integration.stream.harness import Stage, until

TASKS, BUILDS = Entity.TASKS, Entity.BUILDS
_BAD = b'{"op": "c", "after": "no document"}'


def task(number: int) -> bytes:
    after = {"id": f"t{number}", "agent": "A", "status": "done"}
    return json.dumps({"op": "c", "after": after}).encode()


async def stops(stage: Stage) -> list[str]:
    rows = await stage.fetch(
        "SELECT topic, stopped_why FROM stream_positions WHERE stopped_why IS NOT NULL"
    )
    return [row["topic"] for row in rows]


async def letters(stage: Stage) -> int:
    return int((await stage.fetch("SELECT count(*) AS n FROM dead_letters"))[0]["n"])


@pytest.mark.long
async def test_a_partition_stands_before_a_topic_of_bad_records_is_put_aside(stage: Stage) -> None:
    limit = {"dead_letter_limit": "50", "dead_letter_limit_records": "100"}
    topic = stage.settings.topic(TASKS)
    stage.publish(TASKS, *(task(n) for n in range(50)), key=None)
    stage.publish(TASKS, *[_BAD] * 5000, key=None)
    stage.start_worker(**limit)
    line = await stage.worker.says("a partition stands: too many dead letters", topic=topic)
    assert (line["partition"], line["level"]) == (0, "error")

    async def noted() -> bool:
        return await stops(stage) == [topic]

    await until("Postgres knows", noted)
    position = (await stage.position(TASKS))["next_offset"]
    assert position < 5050
    assert await letters(stage) == max(0, position - 50), "what is behind the position is told"

    # Others go on: another topic, and the topic's other partition.
    build = {"op": "c", "after": {"id": "b", "status": "running"}}
    stage.publish(BUILDS, json.dumps(build).encode())
    stage.publish(TASKS, task(999), partition=1)
    await stage.row("builds", "b")
    await stage.row("tasks", "t999")

    alerts = Alerts(stage.settings, system_clock, channels(stage.settings))
    await alerts.check()
    ((kind, subject),) = [(a.kind, a.subject) for a in (await alerts.state())[1]]
    assert (kind, subject) == ("dead_letters", topic)

    # Whoever wants the records among the dead letters says so.
    stage.worker.stop()
    stage.start_worker(dead_letter_limit="0")
    await stage.caught_up()
    assert await letters(stage) == 5000
    assert await stops(stage) == []
    await alerts.check()
    assert (await alerts.state())[1] == []
    alerts.close()
