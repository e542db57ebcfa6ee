"""checkStalledBuilds fails what has stalled, once, and nothing that moves."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from nova_stream.clock import to_millis
from nova_stream.errors import PublishError
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine
from nova_stream.jobs import check_stalled_builds
from nova_stream.jobs.check_stalled_builds import run_once
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.maintenance import sql
from tests.integration.jobs.work import NEVER, NOON, ApplyLines, Runs, before, scanned
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage

pytestmark = pytest.mark.integration

HOUR = 3600.0
HALF = 1800.0


class Stream:
    """A publisher whose changes are applied at once, unless ``away``; ``first`` come before."""

    def __init__(self, apply_lines: ApplyLines) -> None:
        self._apply = apply_lines
        self.away = False
        self.sent: list[ChangeLine] = []
        self.first: list[dict[str, Any]] = []

    async def publish(self, lines: list[ChangeLine]) -> None:
        self.sent += lines
        if not self.away:
            first, self.first = self.first, []
            await self._apply(
                [
                    *first,
                    *(
                        {
                            "entity": x.entity,
                            "op": x.op,
                            "seq": x.seq,
                            "minor": x.minor,
                            "ts_ms": x.ts_ms,
                            "after": x.after,
                            "before": x.before,
                        }
                        for x in lines
                    ),
                ]
            )


@pytest.fixture
def stream(apply_lines: ApplyLines) -> Stream:
    return Stream(apply_lines)


@pytest.fixture
def runs(nova_settings: Settings, stream: Stream) -> Runs:
    found = Runs(nova_settings)
    found.publisher = stream
    return found


def build(id_: str, ago: float | None, status: str = "running", **more: Any) -> dict[str, Any]:
    after = {"id": id_, "prdId": "p", "prdName": f"PRD {id_}", "status": status, **more}
    if ago is not None:
        after["startedAt"] = before(NOON, seconds=ago)
    return line("builds", after, HOUR * 9)


def line(entity: str, after: dict[str, Any], ago: float, **more: Any) -> dict[str, Any]:
    ts_ms = to_millis(NOON) - int(ago * 1000)
    return {"entity": entity, "after": after, "ts_ms": ts_ms, **more}


async def test_no_builds(runs: Runs, stream: Stream) -> None:
    assert await runs.run(run_once) == {
        "stalled": 0,
        "checkTime": "2026-02-20T12:00:00.000Z",
        "applied": True,
        "builds": [],
    }
    assert stream.sent == []


async def test_the_failure_and_its_activity(
    runs: Runs, stream: Stream, apply_lines: ApplyLines
) -> None:
    await apply_lines([{**build("b1", HOUR, extra={"kept": 1.25}), "seq": 7}])
    found = await runs.run(run_once)
    assert (found["stalled"], found["applied"], found["builds"]) == (1, True, ["b1"])
    (row,) = await runs.fetch("SELECT *, doc::text AS text FROM builds")
    assert (row["version"], row["version_minor"]) == (7, 1)
    assert (row["status"], row["completed_at"], row["changed_at"]) == ("failed", NOON, NOON)
    assert msgspec.json.decode(row["text"]) == {
        "id": "b1",
        "prdId": "p",
        "prdName": "PRD b1",
        "status": "failed",
        "startedAt": before(NOON, seconds=HOUR),
        "completedAt": "2026-02-20T12:00:00.000Z",
        "error": "Build stalled (no activity for 30+ minutes)",
        "extra": {"kept": 1.25},
    }
    (activity,) = await runs.fetch("SELECT * FROM agent_activity_feed")
    assert activity["user_id"] == "system"
    assert activity["agent_name"] == "ATLAS"
    assert activity["event_type"] == "task_failed"
    assert activity["details"] == "Build stalled: PRD b1"
    assert activity["timestamp"] == NOON
    assert [x.entity for x in stream.sent] == [Entity.ACTIVITIES, Entity.BUILDS]
    assert (await runs.run(run_once))["stalled"] == 0
    assert (await audit(runs.settings)).differences == []


async def test_what_is_exactly_thirty_minutes_old_stays(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    await apply_lines(
        [
            build("at", HALF),
            build("older", HALF + 0.001),
            build("younger", HALF - 0.001),
            build("pending", HOUR, "pending"),
            build("completed", HOUR, "completed"),  # without completedAt
            build("unstarted", None),
        ]
    )
    assert (await runs.run(run_once))["builds"] == ["older"]


@pytest.mark.parametrize(
    ("more", "stalls"),
    [
        ([("tasks", HALF)], False),
        ([("tasks", HALF + 0.001)], True),
        ([("executions", HALF)], False),
        ([("executions", HALF + 0.001)], True),
        ([("executions", HOUR), ("executions", 60)], False),
        ([("unknown", 60)], True),
        ([("other", 60)], True),
    ],
)
async def test_activity(
    runs: Runs, apply_lines: ApplyLines, more: list[tuple[str, float]], *, stalls: bool
) -> None:
    lines = [build("b1", HOUR), line("tasks", task("t1", "b1"), HOUR)]
    for number, (what, ago) in enumerate(more):
        if what == "tasks":
            lines.append(line("tasks", task("t2", "b1"), ago))
        elif what == "other":
            lines.append(line("tasks", task("t2", "b2"), ago))
        else:
            task_id = "t1" if what == "executions" else "nobody's"
            after = {
                "id": f"e{number}",
                "taskId": task_id,
                "agent": "MARS",
                "duration": 1,
                "timestamp": before(NOON, seconds=ago),
            }
            lines.append(line("executions", after, 0))
    await apply_lines(lines)
    assert (await runs.run(run_once, dry_run=True))["stalled"] == stalls
    # By its start alone it has stalled anyway.
    assert (await runs.run(run_once, dry_run=True, stall_basis="started"))["stalled"] == 1


async def test_a_build_that_finishes_at_the_same_moment(
    runs: Runs, stream: Stream, apply_lines: ApplyLines
) -> None:
    await apply_lines([{**build("b1", HOUR), "seq": 7}, {**build("b2", HOUR), "seq": 8}])
    done = build("b1", HOUR, "completed", completedAt=before(NOON))
    stream.first = [{**done, "seq": 9}]
    found = await runs.run(run_once)
    assert (found["stalled"], found["builds"], found["applied"]) == (1, ["b2"], True)
    (row,) = await runs.fetch("SELECT status, version FROM builds WHERE id = 'b1'")
    assert row == {"status": "completed", "version": 9}
    (told,) = await runs.fetch("SELECT details FROM agent_activity_feed WHERE deleted_at IS NULL")
    assert told == {"details": "Build stalled: PRD b2"}


async def test_without_a_worker_it_says_so_and_a_repetition_is_the_same(
    runs: Runs, stream: Stream, apply_lines: ApplyLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_stalled_builds, "WAIT", 0.2)
    await apply_lines([build("b1", HOUR)])
    stream.away = True
    assert (await runs.run(run_once))["applied"] is False
    stream.away = False
    assert (await runs.run(run_once))["applied"] is True
    assert stream.sent[0].id == stream.sent[2].id
    assert stream.sent[:2] == stream.sent[2:]
    assert len(await runs.ids("agent_activity_feed", "true")) == 1


async def test_kafka_away_between_the_two(
    runs: Runs, stream: Stream, apply_lines: ApplyLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apply_lines([build("b1", HOUR)])
    publish = stream.publish

    async def fails(lines: list[ChangeLine]) -> None:
        if lines[0].entity is Entity.BUILDS:
            raise PublishError("away")
        await publish(lines)

    monkeypatch.setattr(stream, "publish", fails)
    with pytest.raises(PublishError):
        await runs.run(run_once)
    monkeypatch.undo()
    assert (await runs.run(run_once))["stalled"] == 1
    assert len(await runs.ids("agent_activity_feed", "true")) == 1


async def test_a_dry_run_publishes_nothing(
    runs: Runs, stream: Stream, apply_lines: ApplyLines
) -> None:
    await apply_lines([build("b1", HOUR)])
    found = await runs.run(run_once, dry_run=True)
    assert (found["stalled"], found["applied"]) == (1, False)
    assert stream.sent == []


async def test_more_than_a_batch(runs: Runs, apply_lines: ApplyLines) -> None:
    await apply_lines(build(f"b{n:04}", HOUR + n % 7) for n in range(1203))
    found = await runs.run(run_once)
    assert found["stalled"] == len(set(found["builds"])) == 1203
    assert found["applied"]


async def test_other_minutes(runs: Runs, apply_lines: ApplyLines) -> None:
    await apply_lines([build("b1", HOUR)])
    assert (await runs.run(run_once, stall_minutes=90))["stalled"] == 0
    assert (await runs.run(run_once, stall_minutes=45))["stalled"] == 1
    (row,) = await runs.fetch("SELECT error FROM builds")
    assert row["error"] == "Build stalled (no activity for 45+ minutes)"


async def test_it_walks_indexes(runs: Runs) -> None:
    await runs.execute("""
        INSERT INTO builds (id, status, started_at, version, version_minor, changed_at,
            src_partition, src_offset, doc)
        SELECT 'b' || n, CASE WHEN n % 100 = 0 THEN 'running' ELSE 'completed' END,
            timestamptz '2026-02-20 11:00Z' - n * interval '1 minute', 1, 0, now(), 0, n, '{}'
        FROM generate_series(1, 20000) n;
        INSERT INTO tasks (id, build_id, version, version_minor, changed_at, src_partition,
            src_offset, doc)
        SELECT 't' || n, 'b' || n, 1, 0, '2026-01-01', 0, n, '{}' FROM generate_series(1, 20000) n;
        INSERT INTO executions (id, task_id, timestamp, version, version_minor, changed_at,
            src_partition, src_offset, doc)
        SELECT 'e' || n, 't' || n, '2026-01-01', 1, 0, now(), 0, n, '{}'
        FROM generate_series(1, 20000) n;
        ANALYZE builds, tasks, executions""")
    for statement in sql.STALLED_BUILDS.values():
        assert await scanned(runs, statement, NOON, "-infinity", "", 1000) == set()


# -- topics whose versions are no seq --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["offset", "lsn"])
async def test_builds_that_come_from_debezium(stage: Stage, kind: str) -> None:
    source: dict[str, Any] = {"lsn": 77} if kind == "lsn" else {}
    running = build("b1", HOUR)["after"]
    value = value_of(running, ts_ms=to_millis(NOON) - 4_000_000, **source)
    stage.start_worker(**NEVER)
    stage.publish(Entity.BUILDS, value, key=b"b1", partition=1)
    await stage.row("builds", "b1")
    runs = Runs(stage.settings)
    found = await runs.run(run_once)
    assert (found["stalled"], found["applied"]) == (1, True)
    assert (await runs.run(run_once))["stalled"] == 0
    (row,) = await stage.fetch("SELECT * FROM builds")
    assert (row["status"], row["version_minor"], row["src_partition"]) == ("failed", 1, 1)

    # The app's next change beats it.
    source = {"lsn": 78} if kind == "lsn" else {}
    stage.publish(
        Entity.BUILDS,
        value_of({**running, "status": "completed"}, **source),
        key=b"b1",
        partition=1,
    )
    await stage.row("builds", "b1", status="completed")
    assert await stage.fetch("SELECT * FROM dead_letters") == []


async def test_it_waits_until_a_real_worker_has_applied_it(stage: Stage) -> None:
    runs = Runs(stage.settings)
    async with ChangePublisher(stage.settings) as publisher:
        runs.publisher = publisher
        await publisher.publish([build("b1", HOUR)])
        stage.start_worker(**NEVER)
        await stage.row("builds", "b1")
        async with asyncio.timeout(9):
            assert (await runs.run(run_once))["applied"]


def task(id_: str, build_id: str) -> dict[str, Any]:
    return {"id": id_, "buildId": build_id, "agent": "MARS", "status": "running"}
