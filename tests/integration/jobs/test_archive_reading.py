"""What lies in the archive can be shown and put back, until its time is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from nova_stream.api.app import create_app
from nova_stream.errors import ArchiveError, UsageError
from nova_stream.jobs.archive import restore as archive_reading
from nova_stream.jobs.compact_old_executions import run_once
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.migrate import migrate
from tests.integration.api.conftest import connected
from tests.integration.jobs.archived import FILL, aged, docs, execution, objects
from tests.integration.jobs.work import NOON, ApplyLines, FenceError, Runs, before

pytestmark = pytest.mark.integration


@pytest.fixture
async def runs(nova_settings: Settings, tmp_path: Path) -> AsyncIterator[Runs]:
    url = f"file://{tmp_path}/the%20archive"
    found = Runs(nova_settings.model_copy(update={"archive_url": url}))
    yield found
    assert (await audit(nova_settings)).differences == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "the archive"


async def test_show(runs: Runs, apply_lines: ApplyLines) -> None:
    await apply_lines([execution("e1", days=40), execution("e2", days=1), execution("e3", days=2)])
    await apply_lines([{"entity": "executions", "op": "d", "seq": 9, "before": {"id": "e3"}}])
    known = await archive_reading.show(runs.settings, "e1")
    assert known.archived is None
    await runs.run(run_once)
    shown = await archive_reading.show(runs.settings, "e1")
    assert shown.document == known.document
    assert shown.document is not None
    assert shown.document["response"] == "Done \u2713"
    assert (shown.archived is not None, shown.archived_at) == (True, NOON)
    assert (await archive_reading.show(runs.settings, "e2")).document is not None
    assert (await archive_reading.show(runs.settings, "e3")).note == "it was deleted"
    with pytest.raises(UsageError, match="no execution e4"):
        await archive_reading.show(runs.settings, "e4")


async def test_restore_a_day_and_one(runs: Runs, folder: Path) -> None:
    await runs.execute(FILL.format(first=1, last=1300, step="40 seconds"))
    known = await docs(runs)
    await runs.run(run_once)
    assert len(objects(folder)) == 2
    (first, second) = await archive_reading.list_objects(runs.settings)
    assert (first.day, first.state, second.state) == (date(2026, 1, 20), "done", "done")
    assert (first.rows or 0) + (second.rows or 0) == 1300

    assert await archive_reading.restore_day(runs.settings, first.day) == first.rows
    assert await archive_reading.restore_day(runs.settings, first.day) == 0
    assert await archive_reading.restore_one(runs.settings, "e1") == 1
    assert await archive_reading.restore_one(runs.settings, "e1") == 0
    found = await docs(runs)
    back = {id_: doc for id_, doc in found.items() if doc is not None}
    assert len(back) == (first.rows or 0) + 1
    assert back.items() <= known.items()

    # It stays for a while, then the row is emptied again, and not archived twice.
    assert (await runs.run(run_once))["compacted"] == 0
    await runs.execute("UPDATE archive_restores SET until = now()")
    again = await runs.run(run_once)
    assert (again["compacted"], again["objects"]) == ((first.rows or 0) + 1, 0)
    assert len(objects(folder)) == 2
    assert set((await docs(runs)).values()) == {None}
    assert (await archive_reading.show(runs.settings, "e1")).document is not None
    assert await runs.ids("archive_restores", "true") == []


async def test_a_restored_row_that_changed_is_archived_as_it_is_now(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    await apply_lines([execution("e1", days=40)])
    await runs.run(run_once)
    await archive_reading.restore_one(runs.settings, "e1")
    await apply_lines([execution("e1", 2, days=45)])
    found = await runs.run(run_once)
    assert (found["compacted"], found["objects"]) == (1, 1)
    await runs.execute("UPDATE archive_restores SET until = now()")
    assert (await runs.run(run_once))["compacted"] == 0
    shown = await archive_reading.show(runs.settings, "e1")
    assert shown.document is not None
    assert shown.document["timestamp"] == before(NOON, days=45)


async def test_a_day_without_objects(runs: Runs) -> None:
    with pytest.raises(UsageError, match="archive list"):
        await archive_reading.restore_day(runs.settings, date(2026, 1, 1))


async def test_the_api_shows_an_archived_execution_or_says_why_not(
    runs: Runs, apply_lines: ApplyLines, folder: Path
) -> None:
    await apply_lines([execution("e1", days=40), execution("e2", days=1)])
    await runs.run(run_once)
    await migrate(runs.settings, with_roles=True)
    url = f"{runs.settings.database_url.get_secret_value()}?options=-c%20role%3Dnova_api"
    app = create_app(runs.settings.model_copy(update={"database_url": SecretStr(url)}))
    async with app.router.lifespan_context(app), connected(app) as client:
        listed = (await client.get("/api/v1/executions")).json()["items"]
        assert [(item["id"], item["archived"]) for item in listed] == [("e2", False), ("e1", True)]
        found = (await client.get("/api/v1/executions/e1")).json()
        assert (found["prompt"], found["response"], found["note"]) == ("Do it", "Done \u2713", None)
        (archived,) = objects(folder)
        archived.unlink()
        gone = (await client.get("/api/v1/executions/e1")).json()
        assert (gone["prompt"], gone["duration"]) == (None, 12.25)
        assert "cannot be read" in gone["note"]


async def test_objects_go_after_their_time(runs: Runs, folder: Path) -> None:
    await runs.execute(FILL.format(first=1, last=3, step="1 second"))
    await runs.run(run_once)
    await aged(runs, 364, "23 hours")
    assert (await runs.run(run_once))["expired"] == 0
    await archive_reading.restore_one(runs.settings, "e1")
    await aged(runs, 365)
    found = await runs.run(run_once)
    assert found["expired"] == 1
    assert objects(folder) == objects(folder, "json") == []
    shown = await archive_reading.show(runs.settings, "e2")
    assert shown.document is None
    assert "NOVA_ARCHIVE_RETENTION_DAYS" in (shown.note or "")
    # Nobody has the copy of the one that was put back: it is archived anew.
    assert (await runs.run(run_once))["compacted"] == 1


@pytest.mark.parametrize("times", [(-10, 0), (0, 10)])
async def test_no_time_that_a_job_is_to_believe_in_makes_objects_older(
    runs: Runs, times: tuple[int, int]
) -> None:
    await runs.execute(FILL.format(first=1, last=3, step="4000 days"))
    for years in times:
        found = await runs.run(run_once, NOON + timedelta(days=365 * years))
        assert (found["compacted"], found["expired"]) == (3 * (years == times[0]), 0)
    for id_ in await docs(runs):
        assert (await archive_reading.show(runs.settings, id_)).document is not None


async def test_a_damaged_object_is_found(runs: Runs, folder: Path) -> None:
    await runs.execute(FILL.format(first=1, last=3, step="1 second"))
    await runs.run(run_once)
    (path,) = objects(folder)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArchiveError, match="damaged"):
        await archive_reading.show(runs.settings, "e1")
    path.unlink()
    with pytest.raises(ArchiveError, match="cannot be read"):
        await archive_reading.restore_day(runs.settings, date(2026, 1, 21))


#: Rows that got another document, and kept their version: a row of an incremental snapshot brings
#: what was not known, and of one lsn the later place counts, or that of the later source.
_ANOTHER = """
UPDATE executions SET {column} = {column} + 1, doc = jsonb_set(doc, '{{prompt}}', '"Another"')
"""
_columns = pytest.mark.parametrize("column", ["src_offset", "version_generation"])


@_columns
async def test_a_restored_row_with_another_document_of_its_version_is_archived_as_it_is_now(
    runs: Runs, column: str
) -> None:
    await runs.execute(FILL.format(first=1, last=3, step="1 second"))
    await runs.run(run_once)
    await archive_reading.restore_day(runs.settings, date(2026, 1, 21))
    await runs.execute(_ANOTHER.format(column=column))
    await runs.execute("UPDATE archive_restores SET until = now()")
    assert (await runs.run(run_once))["compacted"] == 3
    await _all_are_another(runs)


@_columns
async def test_what_was_archived_empties_no_other_document_of_its_version(
    runs: Runs, column: str
) -> None:
    await runs.execute(FILL.format(first=1, last=3, step="1 second"))
    runs.fail_at = 4  # the object is written, no row is emptied
    with pytest.raises(FenceError):
        await runs.run(run_once)
    assert [o.state for o in await archive_reading.list_objects(runs.settings)] == ["written"]
    await runs.execute(_ANOTHER.format(column=column))
    assert (await runs.run(run_once))["compacted"] == 3
    await _all_are_another(runs)


async def _all_are_another(runs: Runs) -> None:
    assert set((await docs(runs)).values()) == {None}
    for id_ in await docs(runs):
        shown = await archive_reading.show(runs.settings, id_)
        assert shown.document is not None
        assert shown.document["prompt"] == "Another"


async def test_a_row_that_is_put_back_while_its_object_goes_is_archived_anew(runs: Runs) -> None:
    await runs.execute(FILL.format(first=1, last=3, step="1 second"))
    await runs.run(run_once)
    await archive_reading.restore_day(runs.settings, date(2026, 1, 21))
    await runs.execute("UPDATE archive_objects SET state = 'deleted'")
    await runs.execute("UPDATE archive_restores SET until = now()")
    assert (await runs.run(run_once))["objects"] == 1
    for id_ in await docs(runs):
        assert (await archive_reading.show(runs.settings, id_)).document is not None
