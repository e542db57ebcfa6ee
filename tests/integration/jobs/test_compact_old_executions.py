"""compactOldExecutions moves documents to the archive, once, and everything stays as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from nova_stream.errors import ArchiveError, CompactionError
from nova_stream.jobs.archive import compaction
from nova_stream.jobs.archive import restore as archive_reading
from nova_stream.jobs.archive.object_store import Archive
from nova_stream.jobs.compact_old_executions import run_once
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.database import connect
from nova_stream.storage.maintenance import archive_sql
from nova_stream.storage.maintenance.archive import ArchiveStore
from tests.integration.jobs.archived import FILL, docs, execution, objects
from tests.integration.jobs.work import NOON, ApplyLines, Runs, scanned

pytestmark = pytest.mark.integration

MONTH = timedelta(days=30)


@pytest.fixture
async def runs(nova_settings: Settings, tmp_path: Path) -> AsyncIterator[Runs]:
    url = f"file://{tmp_path}/the%20archive"
    found = Runs(nova_settings.model_copy(update={"archive_url": url}))
    yield found
    assert (await audit(nova_settings)).differences == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "the archive"


async def test_nothing_to_do(runs: Runs, folder: Path) -> None:
    assert await runs.run(run_once) == {
        "compacted": 0,
        "cutoffTime": "2026-01-21T12:00:00.000Z",
        "objects": 0,
        "expired": 0,
    }
    assert objects(folder) == []


async def test_what_is_exactly_thirty_days_old_stays(runs: Runs, apply_lines: ApplyLines) -> None:
    await apply_lines(
        [
            execution("at", days=30),
            execution("older", days=30, milliseconds=1),
            execution("younger", days=30, milliseconds=-1),
            {"entity": "executions", "after": {"id": "timeless", "agent": "MARS"}},
            execution("gone", days=40),
            {"entity": "executions", "op": "d", "seq": 9, "before": {"id": "gone"}},
        ]
    )
    assert (await runs.run(run_once, dry_run=True))["compacted"] == 1
    assert (await runs.run(run_once))["compacted"] == 1
    emptied = {id_ for id_, doc in (await docs(runs)).items() if doc is None}
    assert emptied == {"older", "gone"}
    assert (await runs.run(run_once))["compacted"] == 0


async def test_the_slim_row_stays_and_the_figures_with_it(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    await apply_lines(
        [{"entity": "agents", "after": {"id": "a1", "name": "MARS"}}, execution("e1", days=40)]
    )
    cached = await runs.fetch("SELECT * FROM agent_stats_cache")
    await runs.run(run_once)
    (row,) = await runs.fetch("SELECT * FROM executions")
    assert (row["doc"], row["prompt"], row["response"]) == (None, None, None)
    assert row["archived_at"] == NOON
    kept = {
        "id": "e1",
        "agent": "MARS",
        "duration": Decimal("12.25"),
        "version": 1,
        "task_id": "unknown",
        "timestamp": NOON - timedelta(days=40),
        "deleted_at": None,
    }
    assert row.items() >= kept.items()
    assert await runs.fetch("SELECT * FROM agent_stats_cache") == cached

    # The same version again changes nothing.
    await apply_lines([execution("e1", days=40)])
    assert await docs(runs) == {"e1": None}


async def test_objects_by_day_with_a_manifest_each(runs: Runs, folder: Path) -> None:
    await runs.execute(FILL.format(first=1, last=4, step="12 hours"))
    found = await runs.run(run_once)
    assert (found["compacted"], found["objects"]) == (4, 3)
    days = [path.parent.name for path in objects(folder)]
    assert days == ["day=2026-01-19", "day=2026-01-20", "day=2026-01-21"]
    for path, rows in zip(objects(folder), (1, 2, 1), strict=True):
        manifest = json.loads(path.with_suffix(".json").read_text())
        assert manifest["rows"] == rows == pq.read_table(path).num_rows
        assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert manifest["bytes"] == path.stat().st_size
        assert manifest["run"] == runs.last
    table = pq.read_table(objects(folder)[1]).to_pylist()
    assert [(row["id"], row["version"], row["duration_ms"]) for row in table] == [
        ("e3", 3, 3.0),
        ("e2", 2, 2.0),
    ]
    assert json.loads(table[0]["doc"])["prompt"] == "Do 3"


async def test_more_than_an_object_and_a_batch(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "OBJECT_ROWS", 2000)
    await runs.execute(FILL.format(first=1, last=5500, step="1 second"))
    known = await docs(runs)
    found = await runs.run(run_once)
    assert (found["compacted"], found["objects"]) == (5500, 3)
    archived = [row for path in objects(folder) for row in pq.read_table(path).to_pylist()]
    assert {row["id"]: row["doc"] for row in archived} == known
    assert len(archived) == 5500


async def test_a_newer_version_overwrites_and_is_archived_anew(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    await apply_lines([execution("e1", days=40)])
    await runs.run(run_once)
    newer = execution("e1", 2, days=41)
    newer["after"]["prompt"] = "Do it again"
    await apply_lines([newer])
    assert (await archive_reading.show(runs.settings, "e1")).archived is None
    assert (await runs.run(run_once))["compacted"] == 1
    shown = await archive_reading.show(runs.settings, "e1")
    assert shown.document is not None
    assert shown.document["prompt"] == "Do it again"
    assert shown.archived is not None
    assert "day=2026-01-10" in shown.archived


async def test_a_row_that_changes_while_it_is_archived_keeps_its_document(
    runs: Runs, apply_lines: ApplyLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apply_lines([execution("e1", days=40), execution("e2", days=40)])
    written = ArchiveStore.written

    async def change(*arguments: Any) -> None:
        await written(*arguments)
        await apply_lines([execution("e1", 2, days=40)])

    monkeypatch.setattr(ArchiveStore, "written", change)
    assert (await runs.run(run_once))["compacted"] == 1
    monkeypatch.undo()
    found = await docs(runs)
    assert found["e1"] is not None
    assert found["e2"] is None
    assert (await runs.run(run_once))["compacted"] == 1


async def test_a_row_that_somebody_holds_is_emptied_by_the_next_run(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_PAUSE_S", 0.01)
    await runs.execute(FILL.format(first=1, last=5, step="1 second"))
    holder = await connect(runs.settings, "holder")
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM executions WHERE id = 'e3' FOR UPDATE")
            assert (await runs.run(run_once))["compacted"] == 4
    finally:
        await holder.close()
    found = await runs.run(run_once)
    assert (found["compacted"], found["objects"]) == (1, 0)
    assert len(objects(folder)) == 1


async def test_one_compaction_at_a_time(runs: Runs) -> None:
    other = await connect(runs.settings, "other")
    try:
        assert await ArchiveStore(other).claim()
        with pytest.raises(CompactionError):
            await runs.run(run_once)
    finally:
        await other.close()
    await runs.run(run_once)


async def test_an_unavailable_field_of_an_archived_execution(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    """Debezium's placeholder keeps the typed columns; the document has what came."""
    await apply_lines([execution("e1", days=40)])
    await runs.run(run_once)
    change = execution("e1", 2, days=40)
    change["after"] |= dict.fromkeys(
        ("prompt", "response", "agent"), "__debezium_unavailable_value"
    )
    await apply_lines([change])
    (row,) = await runs.fetch("SELECT agent, doc::text FROM executions")
    assert row["agent"] == "MARS"
    assert json.loads(row["doc"])["exact"] == 1.1


async def test_what_does_not_come_back_as_written_empties_nothing(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await runs.execute(FILL.format(first=1, last=2, step="1 second"))
    known = await docs(runs)
    put = Archive.put

    async def lose_a_row(self: Archive, name: str, source: Any) -> None:
        if isinstance(source, Path):
            pq.write_table(pq.read_table(source).slice(1), source)
        await put(self, name, source)

    monkeypatch.setattr(Archive, "put", lose_a_row)
    with pytest.raises(ArchiveError, match="other than it was written"):
        await runs.run(run_once)
    assert await docs(runs) == known
    monkeypatch.undo()
    assert (await runs.run(run_once))["compacted"] == 2


async def test_it_walks_an_index(runs: Runs) -> None:
    await runs.execute(FILL.format(first=-20000, last=3000, step="1 second"))
    await runs.execute("ANALYZE executions, archive_restores")
    cutoff = NOON - MONTH
    assert await scanned(runs, archive_sql.HOT, cutoff, "-infinity", "", 1000, 10**6) == set()
    assert await scanned(runs, archive_sql.COUNT_HOT, cutoff) == set()
    keys = (["e1"], [1], [0])
    assert await scanned(runs, archive_sql.EMPTY, *keys, [0], [1], 1, NOON) == set()
    assert await scanned(runs, archive_sql.EMPTY_AGAIN, 1000, cutoff) == set()
    assert await scanned(runs, archive_sql.RESTORE, *keys, ["{}"], 1, 7) == set()
