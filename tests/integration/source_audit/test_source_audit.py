"""A running stream compared with its source: what is on its way is no difference, the rest is."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest

from nova_stream.events.change import Entity
from nova_stream.storage.database import connect
from tests.integration.source_audit.harness import Source, counts, ids

pytestmark = [pytest.mark.integration, pytest.mark.long]

_NOW = "2026-02-20T12:00:00.000Z"


async def _fill(source: Source, rows: int = 300) -> None:
    """Rows of every entity."""
    series = f"generate_series(1, {rows}) n"
    await source.sql(
        f"""
INSERT INTO agents SELECT 'agent-' || n, 'Agent ' || n, 'r', now() FROM generate_series(1, 9) n;
INSERT INTO builds SELECT 'b' || n, 'p' || n, 'completed', now() - interval '1 h', now(), null
    FROM generate_series(1, 20) n;
INSERT INTO tasks SELECT 't' || n, 'b' || n % 20, 'title ' || n, 'Agent ' || n % 9, 'running',
    array['t1', 'ü'], n % 5, 0, now(), repeat('x', n), 'more' FROM {series};
INSERT INTO executions SELECT 'e' || n, 't' || n, 'Agent ' || n % 9, 'p', repeat('r', n), n % 2 = 0,
    n * 1.250, now() FROM {series};
INSERT INTO activities SELECT 'a' || n, 'u1', 'task_started', 'd', now() FROM {series};
INSERT INTO users SELECT 'u' || n, 'user ' || n, null, 'free', now(), now()
    FROM generate_series(1, 30) n
"""
    )


async def test_a_source_that_was_read_whole_is_equal(source: Source) -> None:
    await _fill(source)
    report = await source.audit()
    assert counts(report) == (0, 0, 0)
    assert report.compared == 9 + 20 + 3 * 300 + 30
    assert report.good
    assert report.unsettled == 0


async def test_no_difference_is_told_beside_writers_and_a_slow_connector(source: Source) -> None:
    await _fill(source, 200)
    source.delay = 0.4
    stop = asyncio.Event()

    async def write(number: int) -> None:
        chance = random.Random(number)
        while not stop.is_set():
            n = chance.randrange(250)
            kind = chance.random()
            if kind < 0.2:
                await source.sql("DELETE FROM tasks WHERE id = $1", f"t{n}")
            elif kind < 0.5:
                await source.sql(
                    "INSERT INTO tasks (id, status, agent) VALUES ($1, 'ready', $2) "
                    "ON CONFLICT DO NOTHING",
                    f"t{n}",
                    f"Agent {n % 9}",
                )
            else:
                await source.sql(
                    "UPDATE tasks SET status = $2, attempts = attempts + 1 WHERE id = $1",
                    f"t{n}",
                    chance.choice(["pending", "ready", "running", "done", "failed"]),
                )
            await source.sql("UPDATE tasks SET title = $1 WHERE id = 't1'", str(chance.random()))
            await asyncio.sleep(0.005)

    writers = [asyncio.create_task(write(number)) for number in range(3)]
    try:
        for _ in range(5):
            report = await source.audit(settle=5)
            assert counts(report) == (0, 0, 0), report
    finally:
        stop.set()
        await asyncio.gather(*writers)
    report = await source.audit()
    assert counts(report) == (0, 0, 0), report
    assert report.unsettled == 0


async def _break(source: Source) -> None:
    """Two rows that never arrived, one that the source has no more, one that says else."""
    await _fill(source)
    await source.emptied()
    source.lost = {"t400", "a401", "t7", "t8", "e9"}
    await source.sql("INSERT INTO tasks (id, status) VALUES ('t400', 'done')")
    await source.sql("INSERT INTO activities (id, timestamp) VALUES ('a401', now())")
    await source.sql("DELETE FROM tasks WHERE id = 't7'")
    await source.sql("UPDATE tasks SET status = 'done', title = 'Ä', extra = 'x' WHERE id = 't8'")
    await source.sql("UPDATE executions SET duration = 7.125 WHERE id = 'e9'")
    await source.emptied()
    source.lost = set()


async def test_every_kind_of_difference_is_found_and_named(source: Source) -> None:
    await _break(source)
    report = await source.audit()
    assert sorted(ids(report, "missing")) == ["a401", "t400"]
    assert ids(report, "surplus") == ["t7"], report
    assert {d.id: d.fields for d in report.differences if d.kind == "different"} == {
        "t8": ["status", "title"],
        "e9": ["duration"],
    }
    assert counts(report) == (2, 1, 2)
    assert not report.good


async def test_a_repair_makes_the_rows_equal_and_later_changes_count(source: Source) -> None:
    await _break(source)
    report = await source.audit(repair=True)
    assert counts(report) == (2, 1, 2)
    assert report.repaired == 5
    assert report.remaining == 0
    assert report.good

    assert counts(await source.audit()) == (0, 0, 0)
    rows = await source.stage.fetch("SELECT doc::text FROM tasks WHERE id = 't8'")
    assert '"extra": "x"' in rows[0]["doc"]
    # The source's next changes outrank the repairs.
    await source.sql("UPDATE tasks SET status = 'failed' WHERE id IN ('t400', 't8')")
    await source.sql("INSERT INTO tasks (id, status) VALUES ('t7', 'ready')")
    await source.sql("DELETE FROM activities WHERE id = 'a401'")
    await source.emptied()
    assert counts(await source.audit()) == (0, 0, 0)


async def test_a_difference_is_found_beside_writers(source: Source) -> None:
    await _break(source)
    stop = asyncio.Event()

    async def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            await source.sql("UPDATE tasks SET attempts = $1 WHERE id = 't1'", n)
            await asyncio.sleep(0.01)

    writer = asyncio.create_task(write())
    try:
        report = await source.audit(Entity.TASKS)
    finally:
        stop.set()
        await writer
    assert counts(report) == (1, 1, 1), report


async def test_a_repair_never_outranks_a_change_that_is_yet_to_be_committed(
    source: Source,
) -> None:
    await _break(source)
    connection = await asyncpg.connect(source.url)
    change = connection.transaction()
    await change.start()
    # Written now, committed after the repair: its place in the log is before it.
    await connection.execute("UPDATE tasks SET status = 'failed' WHERE id = 't8'")
    await connection.execute("UPDATE executions SET duration = 9 WHERE id = 'e9'")
    report = await source.audit(repair=True)
    assert report.good, report
    assert report.repaired == 5
    await change.commit()
    await connection.close()
    await source.emptied()
    assert counts(await source.audit()) == (0, 0, 0)
    rows = await source.stage.fetch("SELECT status FROM tasks WHERE id = 't8'")
    assert rows == [{"status": "failed"}]


@pytest.mark.parametrize("kind", ["seq", None])
async def test_topics_of_other_versions_are_repaired_too(source: Source, kind: str | None) -> None:
    source.version = kind
    await _break(source)
    report = await source.audit(repair=True)
    assert (report.repaired, report.remaining) == (5, 0), report
    await source.sql("UPDATE tasks SET status = 'failed' WHERE id IN ('t400', 't8')")
    await source.sql("INSERT INTO tasks (id, status) VALUES ('t7', 'ready')")
    await source.emptied()
    assert counts(await source.audit()) == (0, 0, 0)


async def test_what_jobs_changed_on_purpose_is_no_difference(source: Source) -> None:
    await _fill(source)
    await source.emptied()
    source.lost = {"old", "cleaned"}
    await source.sql(
        "INSERT INTO activities (id, timestamp) VALUES ('old', now() - interval '8 days'), "
        "('cleaned', now())"
    )
    await source.sql("INSERT INTO builds (id, status) VALUES ('stalled', 'running')")
    await source.sql("UPDATE executions SET response = 'other' WHERE id = 'e1'")
    await source.emptied()
    assert counts(await source.audit(Entity.BUILDS, Entity.EXECUTIONS)) == (0, 0, 0)
    rows = await source.stage.fetch("SELECT version FROM builds WHERE id = 'stalled'")
    told = {
        "id": "stalled",
        "status": "failed",
        "completedAt": _NOW,
        "error": "Build stalled (no activity for 30+ minutes)",
    }
    version = {"lsn": rows[0]["version"], "minor": 1, "ts_ms": 1771588800000}
    source.publish(Entity.BUILDS, {"op": "u", "after": told, "source": version}, "stalled")
    stall = {"id": "stalled-" + "0" * 32, "timestamp": _NOW}
    source.publish(Entity.ACTIVITIES, {"op": "c", "after": stall, "source": version}, "s")
    await source.stage.row("builds", "stalled", status="failed")
    await source.stage.row("agent_activity_feed", stall["id"])
    connection = await connect(source.stage.settings, "test")
    await connection.execute(
        "INSERT INTO activity_archive (id, timestamp, version, version_minor, changed_at, "
        "src_partition, src_offset, run_id, archived_at) "
        "VALUES ('cleaned', now(), 1, 0, now(), 0, 0, 1, now())"
    )
    await connection.execute("UPDATE executions SET doc = NULL, archive_object = 1 WHERE id = 'e1'")
    await connection.close()
    report = await source.audit(repair=True)
    assert counts(report) == (0, 0, 0), report
    assert report.own == 4
    assert report.good


async def test_markers_are_nothing_to_wait_for_and_an_open_transaction_is_named(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fill(source, 20)
    producer = source.stage.producer(transactional_id=source.stage.settings.topic_prefix)
    topic = source.stage.settings.topic(Entity.TASKS)
    producer.init_transactions()
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce(topic, b'{"op": "m"}', b"k", 0)
        producer.flush(10)
        end()
    report = await source.audit()
    assert (counts(report), report.behind) == ((0, 0, 0), 0)

    producer.begin_transaction()
    producer.produce(topic, b'{"op": "m"}', b"k", 0)
    producer.flush(10)
    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("nova_stream.source_audit.stream._PATIENCE_S", 5.0)
        report = await source.audit(told=told)
    assert report.behind == 1
    assert not report.good
    assert any(
        source.stage.settings.topic_prefix in line and "transaction" in line for line in told
    )
    producer.abort_transaction()
    report = await source.audit()
    assert (report.behind, report.good) == (0, True)
