"""healthCheck counts what lives, and its result comes out whatever is away."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nova_stream.errors import KafkaUnavailableError
from nova_stream.jobs import health_check, registry
from nova_stream.jobs.registry import check_health
from nova_stream.kafka.lag import Backlog, read_backlog
from nova_stream.settings import Settings
from nova_stream.storage import signs_of_life
from nova_stream.storage.database import connect
from nova_stream.storage.jobs.read import stored_jobs
from nova_stream.storage.maintenance import sql
from tests.integration.jobs.work import ApplyLines, Runs

pytestmark = pytest.mark.integration

SIZES = (
    "buildTableSize",
    "taskTableSize",
    "executionTableSize",
    "activityTableSize",
    "userTableSize",
)


@pytest.fixture
def runs(nova_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    async def empty(*_: Any) -> Backlog:
        return Backlog({}, exact=True, held=())

    monkeypatch.setattr(health_check, "read_backlog", empty)
    archive = {"archive_url": f"file://{tmp_path}/archive"}
    return Runs(nova_settings.model_copy(update=archive))


async def test_an_empty_database(runs: Runs) -> None:
    found = await runs.run(check_health)
    assert list(found)[:7] == [*SIZES, "timestamp", "status"]
    assert found == {
        **dict.fromkeys(SIZES, 0),
        "timestamp": "2026-02-20T12:00:00.000Z",
        "status": "healthy",
        "problems": [],
        "lag": 0,
        "openDeadLetters": 0,
        "lastRunAgeSeconds": dict.fromkeys(registry.job_names()),
        "growthPerDay": {"taskTableSize": None, "activityTableSize": None},
    }


async def test_growth_is_a_line_through_the_last_seven_days(runs: Runs) -> None:
    """Of slots alone: a run by hand may have believed in any time."""
    found = """
INSERT INTO job_runs (job, slot, kind, outcome, scheduled_at, result)
SELECT '{job}', CASE WHEN '{kind}' = 'slot' THEN s END, '{kind}', '{outcome}', s,
    json_build_object('taskTableSize', {size}, 'activityTableSize', 5)
FROM generate_series(timestamptz '2026-02-20 12:00Z' - interval '{from_}',
    timestamptz '2026-02-20 12:00Z' - interval '{to}', '30 min') s"""
    day = "100 + extract(epoch FROM s - '2026-02-19 12:00Z') / 86400 * 250"
    good = {"job": "healthCheck", "kind": "slot", "outcome": "ok", "size": f"round({day})"}
    await runs.execute(found.format(**good, from_="23 h", to="0"))
    assert (await runs.run(check_health))["growthPerDay"]["taskTableSize"] is None

    await runs.execute(found.format(**good, from_="3 days", to="23.5 h"))
    others: list[dict[str, str]] = [
        {"job": "healthCheck", "kind": "slot", "outcome": "ok", "from_": "9 days", "to": "7 days"},
        {"job": "healthCheck", "kind": "manual", "outcome": "manual", "from_": "1 h", "to": "0"},
        {"job": "another", "kind": "slot", "outcome": "ok", "from_": "1 h", "to": "0"},
    ]
    for other in others:
        await runs.execute(found.format(**other, size="999999"))
    growth = (await runs.run(check_health))["growthPerDay"]
    assert growth == {"taskTableSize": pytest.approx(250, abs=1), "activityTableSize": 0.0}


async def test_tombstones_are_not_counted(runs: Runs, apply_lines: ApplyLines) -> None:
    entities = {
        "builds": {"status": "running"},
        "tasks": {"status": "done", "agent": "MARS"},
        "executions": {"agent": "MARS"},
        "activities": {},
        "users": {},
    }
    for number, (entity, more) in enumerate(entities.items(), 2):
        await apply_lines(
            {"entity": entity, "after": {"id": f"{n}", **more}} for n in range(number)
        )
        await apply_lines([{"entity": entity, "op": "d", "seq": 99, "before": {"id": "0"}}])
    found = await runs.run(check_health)
    assert [found[name] for name in SIZES] == [1, 2, 3, 4, 5]


async def test_thresholds(runs: Runs, apply_lines: ApplyLines) -> None:
    await apply_lines(
        {"entity": "tasks", "after": {"id": f"{n}", "status": "done"}} for n in range(3)
    )
    await apply_lines({"entity": "activities", "after": {"id": f"{n}"}} for n in range(3))
    for name in ("task_table_warning", "activity_table_warning"):
        enough: dict[str, Any] = {name: 3}
        assert (await runs.run(check_health, **enough))["status"] == "healthy"
        less: dict[str, Any] = {name: 2}
        found = await runs.run(check_health, **less)
        assert found["status"] == "warning"
        assert found["problems"][0].endswith("_table_size is 3, above 2")


async def test_no_database(runs: Runs) -> None:
    nowhere = runs.settings.database_url.__class__("postgresql://nova@127.0.0.1:1/nova")
    runs.settings = runs.settings.model_copy(update={"database_url": nowhere})
    found = await runs.run(check_health)
    assert found["status"] == "error"
    assert [found[name] for name in SIZES] == [None] * 5
    assert "127.0.0.1:1" in found["problems"][0]


async def test_a_database_that_does_not_answer_in_time(runs: Runs) -> None:
    holder = await connect(runs.settings, "holder")
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            found = await runs.run(check_health, health_seconds=0.5)
    finally:
        await holder.close()
    assert time.monotonic() - began < 4
    assert found["status"] == "error"
    assert found["problems"] == ["database: it did not answer within 0.5 s"]


async def test_no_kafka_and_a_lag(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> Any:
        raise KafkaUnavailableError("nobody there")

    async def behind(*_: Any) -> Backlog:
        return Backlog({("nova.tasks", 0): 4, ("nova.tasks", 1): 3}, exact=True, held=())

    monkeypatch.setattr(health_check, "read_backlog", away)
    found = await runs.run(check_health)
    assert (found["status"], found["lag"]) == ("warning", None)
    assert found["problems"] == ["kafka: nobody there"]
    monkeypatch.setattr(health_check, "read_backlog", behind)
    worker = await connect(runs.settings, "sign of life")
    try:
        await signs_of_life.hold(worker, 7)
        assert (await runs.run(check_health, lag_warning=7))["status"] == "healthy"
        assert (await runs.run(check_health, lag_warning=6))["status"] == "warning"
    finally:
        await worker.close()


@pytest.mark.parametrize(("lag", "wait"), [(1, "1 record waits"), (7, "7 records wait")])
async def test_records_that_wait_for_a_worker_that_does_not_run_are_a_warning(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, lag: int, wait: str
) -> None:
    async def behind(*_: Any) -> Backlog:
        return Backlog({("nova.tasks", 0): lag}, exact=True, held=())

    assert (await runs.run(check_health))["status"] == "healthy"  # nothing waits
    monkeypatch.setattr(health_check, "read_backlog", behind)
    found = await runs.run(check_health)
    assert (found["status"], found["lag"]) == ("warning", lag)
    says = "and no worker runs: start one with nova-stream worker"
    assert found["problems"] == [f"{wait} {says}"]


async def test_an_archive_that_cannot_be_used(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = await runs.run(check_health, archive_url=f"file://{tmp_path}/file/archive")
    assert found["status"] == "warning"
    assert "NOVA_ARCHIVE_URL" in found["problems"][0]


async def test_the_age_of_the_last_run(runs: Runs) -> None:
    await runs.execute("""
        INSERT INTO job_runs (job, kind, outcome, scheduled_at, ended_at) VALUES
            ('healthCheck', 'manual', 'manual', now(), now() - interval '90 s'),
            ('healthCheck', 'manual', 'failed', now(), now()),
            ('computeAgentStats', 'manual', 'failed', now(), now())""")
    found = await runs.run(check_health)
    assert 90 <= found["lastRunAgeSeconds"]["healthCheck"] < 120
    assert found["lastRunAgeSeconds"]["computeAgentStats"] is None


async def test_the_last_run_is_the_one_that_ended_last(runs: Runs) -> None:
    """A run that somebody asked for ends after a slot that was due later; and clocks differ."""
    await runs.execute("""
        INSERT INTO job_settings (job, schedule, minutes, hours, days, months, weekdays,
            either_day, start_offset, late_after, missed, timeout, attempts, active, created_at,
            expected_from, accounted_to)
        SELECT job, '0 0 * * *', '{0}', '{0}', '{1}', '{1}', '{0}', false, 0, 60, 'skip', 60, 1,
            true, now(), now(), now()
        FROM unnest(ARRAY['healthCheck', 'computeAgentStats']) AS j (job);
        INSERT INTO job_runs (job, kind, outcome, scheduled_at, ended_at) VALUES
            ('healthCheck', 'manual', 'manual', now() - interval '3 h', now() - interval '90 s'),
            ('healthCheck', 'manual', 'manual', now() - interval '2 h', now() - interval '1 h'),
            ('computeAgentStats', 'manual', 'manual', now(), now() + interval '1 h')""")
    ages = (await runs.run(check_health))["lastRunAgeSeconds"]
    assert 90 <= ages["healthCheck"] < 300
    assert ages["computeAgentStats"] == 0
    connection = await connect(runs.settings, "test")
    now = datetime.now(UTC)
    stored = await stored_jobs(connection, 1, now, now)
    await connection.close()
    ended = stored["healthCheck"].last_success_at
    assert ended is not None
    assert (now - ended).total_seconds() < 300


async def test_counting_reads_no_documents(runs: Runs) -> None:
    await runs.execute("""
        INSERT INTO executions (id, version, version_minor, changed_at, src_partition, src_offset,
            doc)
        SELECT 'e' || n, 1, 0, now(), 0, n, jsonb_build_object('prompt', repeat('x', 900))
        FROM generate_series(1, 20000) n""")
    connection = await connect(runs.settings, "test")
    try:
        await connection.execute("VACUUM ANALYZE executions")
        plan = await connection.fetch(f"EXPLAIN {sql.TABLE_SIZES}")
    finally:
        await connection.close()
    assert "Seq Scan on executions" not in "\n".join(row[0] for row in plan)


async def test_the_real_lag(runs: Runs, nova_kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nova_stream.events.lines import change_line
    from nova_stream.kafka.admin import TopicAdmin
    from nova_stream.publish.publisher import ChangePublisher

    monkeypatch.setattr(health_check, "read_backlog", read_backlog)
    settings = runs.settings.model_copy(update={"kafka_brokers": (nova_kafka,)})
    runs.settings = settings
    assert (await runs.run(check_health))["lag"] == 0
    async with TopicAdmin(settings) as admin:
        await admin.prepare_sources()
    async with ChangePublisher(settings) as publisher:
        await publisher.publish(
            change_line({"entity": "users", "after": {"id": f"u{n}"}}) for n in range(7)
        )
    assert (await runs.run(check_health))["lag"] == 7
    gone = settings.model_copy(update={"kafka_brokers": ("127.0.0.1:1",)})
    async with asyncio.timeout(5):
        with pytest.raises(KafkaUnavailableError):
            await read_backlog(gone, {}, 1.0)
