"""kill -9 before every single step of compaction and cleanup: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from nova_stream.errors import CompactionError
from nova_stream.jobs import cleanup_old_activity, compact_old_executions
from nova_stream.jobs.archive import restore as archive_reading
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from tests.integration.jobs.archived import aged
from tests.integration.jobs.work import NOON, ApplyLines, Runs, before

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
#: After this many minutes the young ones are to be archived, too.
YEAR = 366 * 24 * 60
OLD = 7


class Victims:
    """A process that forks victims."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def die_before(self, step: int, minutes: int = 0) -> bool:
        """Whether there was such a step, and the process died before it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{step} {minutes}\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in {0, -9}
        return status == -9


@contextmanager
def victims(job: str, settings: Settings) -> Iterator[Victims]:
    command = [
        sys.executable,
        "-m",
        "tests.integration.jobs.killed",
        job,
        settings.database_url.get_secret_value(),
        settings.archive_url,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield Victims(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def runs(nova_settings: Settings, tmp_path: Path) -> Runs:
    return Runs(nova_settings.model_copy(update={"archive_url": f"file://{tmp_path}/archive"}))


async def fill(runs: Runs, apply_lines: ApplyLines) -> None:
    """Old and young executions and activities of two days."""
    ids = range(OLD + 3)
    ages = {n: {"days": 40 + n % 2} if n < OLD else {"days": 1} for n in ids}
    await apply_lines(
        [
            {"entity": "agents", "seq": 1, "after": {"id": "a1", "name": "MARS"}},
            *(
                {
                    "entity": "executions",
                    "seq": 1,
                    "after": {
                        "id": f"e{n}",
                        "agent": "MARS",
                        "duration": n,
                        "prompt": f"Do {n}",
                        "timestamp": before(NOON, **ages[n]),
                    },
                }
                for n in ids
            ),
            *(
                {
                    "entity": "activities",
                    "seq": 1,
                    "after": {
                        "id": f"v{n}",
                        "details": f"did {n}",
                        "timestamp": before(NOON, **ages[n]),
                    },
                }
                for n in ids
            ),
        ]
    )


async def empty(runs: Runs, folder: Path) -> None:
    await runs.execute("""TRUNCATE executions, agent_activity_feed, activity_archive, agents,
        agent_stats_cache, agent_stats_partials, archive_objects, archive_restores""")
    shutil.rmtree(folder, ignore_errors=True)


async def documents(runs: Runs) -> dict[str, object]:
    """Every execution's document, wherever it lies."""
    return {
        id_: (await archive_reading.show(runs.settings, id_)).document
        for id_ in await runs.ids("executions")
    }


def archived(folder: Path) -> list[str]:
    """Ids in all objects that lie there, as often as they do."""
    rows = [row for path in folder.rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return sorted(row["id"] for row in rows)


def names(folder: Path) -> tuple[set[str], set[str]]:
    """Objects and manifests, without what makes them different."""
    return {p.stem for p in folder.rglob("*.parquet")}, {p.stem for p in folder.rglob("*.json")}


async def test_compaction(runs: Runs, apply_lines: ApplyLines, tmp_path: Path) -> None:
    folder, step = tmp_path / "archive", 0
    with victims("compactOldExecutions", runs.settings) as forked:
        while True:
            await fill(runs, apply_lines)
            known = await documents(runs)
            if not forked.die_before(step):
                break
            assert await documents(runs) == known, step
            assert (await audit(runs.settings)).differences == [], step

            await compacted(runs)
            assert await documents(runs) == known, step
            assert await runs.ids("executions", "doc IS NULL") == [f"e{n}" for n in range(OLD)]
            assert archived(folder) == [f"e{n}" for n in range(OLD)], step
            objects, manifests = names(folder)
            assert len(objects) == 2, step
            assert objects == manifests, step
            states = await runs.fetch("SELECT DISTINCT state FROM archive_objects")
            assert states == [{"state": "done"}], step
            assert (await runs.run(compact_old_executions.run_once))["compacted"] == 0
            assert (await audit(runs.settings)).differences == [], step
            await empty(runs, folder)
            step += 1
    assert step > 30


async def compacted(runs: Runs, now: datetime = NOON) -> None:
    """Compact; the killed one's session has its lock until Postgres notices that it is gone."""
    while True:
        try:
            await runs.run(compact_old_executions.run_once, now)
        except CompactionError:
            await asyncio.sleep(0.05)
        else:
            return


async def test_the_end_of_retention(runs: Runs, apply_lines: ApplyLines, tmp_path: Path) -> None:
    folder, step = tmp_path / "archive", 0
    later = NOON + timedelta(minutes=YEAR)
    with victims("compactOldExecutions", runs.settings) as forked:
        while True:
            await fill(runs, apply_lines)
            await runs.run(compact_old_executions.run_once)
            await aged(runs, 365)
            if not forked.die_before(step, YEAR):
                break
            await compacted(runs, later)
            # The young ones are old by now; what was archived a year ago is gone.
            assert archived(folder) == [f"e{n}" for n in range(OLD, OLD + 3)], step
            objects, manifests = names(folder)
            assert objects == manifests, step
            states = await runs.fetch("SELECT state FROM archive_objects ORDER BY 1")
            assert [row["state"] for row in states] == ["deleted", "deleted", "done"], step
            await empty(runs, folder)
            step += 1
    assert step > 30


async def test_cleanup(runs: Runs, apply_lines: ApplyLines, tmp_path: Path) -> None:
    step = 0
    everything = [f"v{n}" for n in range(OLD + 3)]
    with victims("cleanupOldActivity", runs.settings) as forked:
        while True:
            await fill(runs, apply_lines)
            if not forked.die_before(step):
                break
            assert await both(runs) == everything, step
            await runs.run(cleanup_old_activity.run_once)
            assert await runs.ids("agent_activity_feed") == everything[OLD:], step
            assert await both(runs) == everything, step
            await empty(runs, tmp_path / "archive")
            step += 1
    assert step > 5


async def both(runs: Runs) -> list[str]:
    """Ids of the feed and of its archive, as often as they are there."""
    return sorted(
        await runs.ids("agent_activity_feed") + await runs.ids("activity_archive", "true")
    )
