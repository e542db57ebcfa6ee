"""``nova-stream jobs`` and ``alerts``, run as people run them, with the platform's own jobs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from nova_stream.cli.jobs import _Ended, _How, _Outcome
from nova_stream.cli.main import run
from nova_stream.clock import system_clock
from nova_stream.jobs import registry
from nova_stream.jobs.engine.job import Job
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.settings import Settings
from nova_stream.storage.jobs.rows import Ended, How, Outcome
from tests.integration.jobs.stubs import SKIP, Stub, job
from tests.integration.jobs.work import Runs

pytestmark = pytest.mark.integration

NAMES = [
    "cleanupOldActivity",
    "computeAgentStats",
    "checkStalledBuilds",
    "compactOldExecutions",
    "markInactiveUsers",
    "refreshBuildStats",
    "summarizeEngagement",
    "healthCheck",
]

#: Two that are more than seven days old, and one that is not.
ACTIVITIES = """
INSERT INTO agent_activity_feed
    (id, timestamp, version, version_minor, changed_at, src_partition, src_offset, doc)
SELECT id, timestamp::timestamptz, 1, 0, timestamptz '2026-02-01', 0, 1,
    jsonb_build_object('id', id)
FROM (VALUES ('old1', '2026-02-01T00:00Z'), ('old2', '2026-02-13T11:59Z'),
    ('new', '2026-02-20T00:00Z')) v (id, timestamp)
"""

PAUSED = "SELECT paused_reason FROM job_settings WHERE job = 'computeAgentStats'"

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    jobs_settings_sync: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Command:
    """Runs a command line; its status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVA_DATABASE_URL", jobs_settings_sync.database_url.get_secret_value())

    def run_it(*words: str) -> tuple[int, str, str]:
        status = run(words)
        output = capsys.readouterr()
        return status, output.out, output.err

    return run_it


def test_list(command: Command) -> None:
    status, out, _ = command("jobs", "list", "--json")
    items: list[dict[str, Any]] = json.loads(out)["items"]
    assert status == 0
    assert [item["name"] for item in items] == NAMES
    assert items[1]["schedule"] == "*/5 * * * *"
    assert int(items[1]["nextRun"][14:16]) % 5 == 0
    assert items[1]["lastRun"] is None
    assert "never" in command("jobs", "list")[1]


def test_run_pause_resume_history(command: Command, jobs_settings_sync: Settings) -> None:
    status, out, _ = command("jobs", "pause", "computeAgentStats", "--reason", "a new index")
    assert (status, out.split(";")[0]) == (0, "computeAgentStats is paused")
    status, _, error = command("jobs", "pause", "computeAgentStats", "--reason", "x" * 501)
    assert (status, error) == (2, "error: a reason has at most 500 characters\n")
    status, out, _ = command("jobs", "run", "computeAgentStats", "--at", "2026-02-20T12:00:00Z")
    assert status == 0
    result = json.loads(out.splitlines()[-1])
    assert list(result)[:2] == ["computed", "timestamp"]
    assert result["timestamp"] == "2026-02-20T12:00:00.000Z"
    status, out, _ = command("jobs", "run", "computeAgentStats", "--dry-run")
    assert (status, json.loads(out)["computed"]) == (0, 0)

    (listed,) = [
        item
        for item in json.loads(command("jobs", "list", "--json")[1])["items"]
        if item["name"] == "computeAgentStats"
    ]
    assert listed["paused"] is True
    (setting,) = asyncio.run(Runs(jobs_settings_sync).fetch(PAUSED))
    assert setting["paused_reason"] == "a new index"
    assert listed["lastRun"]["outcome"] == "dry_run"
    assert command("jobs", "resume", "computeAgentStats")[0] == 0

    lines = json.loads(command("jobs", "history", "computeAgentStats", "--json")[1])["items"]
    assert [line["outcome"] for line in lines] == ["dry_run", "manual"]
    assert lines[1]["at"] == "2026-02-20T12:00:00.000Z"
    assert lines[1]["result"]["computed"] == 0
    newest = command("jobs", "history", "--limit", "1")[1].splitlines()
    assert len(newest) == 3
    assert "there are more" in newest[-1]
    assert command("jobs", "history", "healthCheck")[1] == "no runs\n"
    for words, outcomes in [
        (("--outcome", "manual"), ["manual"]),
        (("--how", "by_hand", "--ended", "went_well"), ["manual"]),
        (("--ended", "went_well"), ["dry_run", "manual"]),
        (("--ended", "went_wrong"), []),
        (("--from", "1h"), ["dry_run", "manual"]),
        (("--from", "2020-01-01", "--to", "1h"), []),
        (("computeAgentStats", "--from", "1h", "--outcome", "dry_run"), ["dry_run"]),
    ]:
        lines = json.loads(command("jobs", "history", *words, "--json")[1])["items"]
        assert [line["outcome"] for line in lines] == outcomes, words
    assert "--from '7' is not a time" in command("jobs", "history", "--from", "7")[2]


def test_the_command_knows_every_outcome() -> None:
    assert set(get_args(_Outcome)) == set(Outcome)
    assert set(get_args(_How)) == set(How)
    assert set(get_args(_Ended)) == set(Ended)


def test_tables_tell_how_runs_were_started_how_they_ended_and_what_they_did(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("jobs", "run", "cleanupOldActivity")[0] == 0
    assert command("jobs", "run", "cleanupOldActivity", "--dry-run")[0] == 0
    lines = command("jobs", "history")[1].splitlines()
    columns = "run job due how ended started took in Postgres what it did"
    assert lines[0].split() == columns.split()
    assert re.search(r"Z +dry run +went well +.* s +Dry run: 0 activities deleted *$", lines[1])
    assert re.search(r"Z +by hand +went well +.* s +0 activities deleted *$", lines[2])
    assert command("jobs", "pause", "cleanupOldActivity")[0] == 0  # known without a worker, too
    listed = command("jobs", "list")[1]
    assert re.search(
        r"cleanupOldActivity .* paused .* dry run +went well +.* Dry run: 0 act", listed
    )

    assert command("jobs", "run", "cleanupOldActivity", "--at", "2026-02-21T01:00")[0] == 0
    as_of = r"Z +by hand, as of 2026-02-21T01:00:00.000Z +went well +"
    assert re.search(as_of, command("jobs", "history")[1].splitlines()[1])
    assert re.search(as_of, command("jobs", "list")[1])

    monkeypatch.setattr(registry, "JOBS", (job(Stub(errors=9), missed=SKIP),))
    assert command("jobs", "run", "stub")[0] == 1
    failed = command("jobs", "history", "stub")[1]
    assert re.search(r"by hand +went wrong +.* RuntimeError: as the test wanted$", failed.strip())


def test_a_run_that_fails(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "JOBS", (job(Stub(errors=9), missed=SKIP),))
    status, out, err = command("jobs", "run", "stub")
    assert (status, out) == (1, "")
    assert "error: stub failed: RuntimeError: as the test wanted" in err
    (line,) = json.loads(command("jobs", "history", "--json")[1])["items"]
    assert (line["outcome"], line["attempt"], line["slot"]) == ("failed", 3, None)


@pytest.mark.parametrize("verb", ["run", "history", "pause", "resume"])
def test_an_unknown_job(command: Command, verb: str) -> None:
    status, out, err = command("jobs", verb, "nothing")
    assert (status, out) == (2, "")
    assert err == f"error: no job 'nothing'; there are: {', '.join(NAMES)}\n"


def test_a_time_that_is_none(command: Command) -> None:
    status, _, err = command("jobs", "run", "healthCheck", "--at", "noon")
    assert status == 2
    assert err.startswith("error: --at 'noon' is not a time; give ISO 8601")


def test_a_time_in_the_future_needs_a_yes(command: Command) -> None:
    words = ("jobs", "run", "cleanupOldActivity", "--at", "2999-01-01T00:00:00Z")
    status, out, err = command(*words)
    assert (status, out) == (2, "")
    assert "is in the future: cleanupOldActivity takes as old what is not old yet" in err
    assert "--yes" in err
    assert command("jobs", "history")[1] == "no runs\n"
    assert command(*words, "--dry-run")[0] == 0
    assert command(*words, "--yes")[0] == 0


def test_a_wrong_schedule(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOVA_SCHEDULE_HEALTH_CHECK", "61 * * * *")
    status, _, err = command("jobs", "list")
    assert status == 2
    assert err.startswith("error: NOVA_SCHEDULE_HEALTH_CHECK='61 * * * *': ")


def test_health_check_without_postgres(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result comes out all the same; other jobs say what is wrong."""
    monkeypatch.setenv("NOVA_DATABASE_URL", "postgresql://nova:secret@127.0.0.1:1/nova")
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", "127.0.0.1:1")
    status, out, err = command("jobs", "run", "healthCheck")
    assert (status, json.loads(out.splitlines()[-1])["status"]) == (1, "error")
    assert "warning: Postgres is unavailable, so no history has this run" in err
    status, out, err = command("jobs", "run", "computeAgentStats")
    assert (status, out) == (1, "")
    assert "Postgres at 127.0.0.1:1/nova cannot be used" in err
    assert "secret" not in err


def test_what_is_changed_is_told_as_json(command: Command) -> None:
    paused = command("jobs", "pause", "healthCheck", "--json")[1]
    assert json.loads(paused) == {"name": "healthCheck", "paused": True}
    resumed = command("jobs", "resume", "healthCheck", "--json")[1]
    assert json.loads(resumed) == {"name": "healthCheck", "paused": False}
    before_after = json.loads(command("migrate", "--json")[1])
    assert before_after["before"] == before_after["after"]
    assert json.loads(command("audit", "--json")[1])["differences"] == []


def test_alerts(command: Command) -> None:
    assert command("alerts", "list") == (0, "no alerts\n", "")
    assert json.loads(command("alerts", "list", "--all", "--json")[1])["items"] == []


def test_undo_puts_back_what_a_run_deleted(command: Command, jobs_settings_sync: Settings) -> None:
    runs = Runs(jobs_settings_sync)
    asyncio.run(runs.execute(ACTIVITIES))
    at = ("--at", "2026-02-20T12:00:00Z")
    assert json.loads(command("jobs", "run", "cleanupOldActivity", *at)[1])["deleted"] == 2
    (line,) = json.loads(command("jobs", "history", "cleanupOldActivity", "--json")[1])["items"]
    assert asyncio.run(runs.ids("agent_activity_feed")) == ["new"]

    assert command("jobs", "undo", str(line["runId"])) == (0, "put back 2\n", "")
    assert asyncio.run(runs.ids("agent_activity_feed")) == ["new", "old1", "old2"]
    assert json.loads(command("jobs", "run", "cleanupOldActivity", *at)[1])["deleted"] == 0

    status, _, error = command("jobs", "undo", "999999")
    assert (status, error) == (
        2,
        "error: no run has the number 999999; see: nova-stream jobs history\n",
    )


def test_undo_is_done_by_the_job_whose_run_it_was(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone: list[tuple[str, int]] = []

    def undoable(name: str) -> Job:
        async def undo(_: Settings, run_id: int) -> int:
            undone.append((name, run_id))
            return 1

        return msgspec.structs.replace(job(Stub(), missed=SKIP), name=name, undo=undo)

    jobs = (undoable("first"), undoable("second"), job(Stub(), missed=SKIP))
    monkeypatch.setattr(registry, "JOBS", jobs)
    runs = {}
    for name in ("first", "second", "stub"):
        assert command("jobs", "run", name)[0] == 0
        (line,) = json.loads(command("jobs", "history", name, "--json")[1])["items"]
        runs[name] = line["runId"]

    for name in ("second", "first"):
        assert command("jobs", "undo", str(runs[name])) == (0, "put back 1\n", "")
    assert undone == [("second", runs["second"]), ("first", runs["first"])]
    status, _, error = command("jobs", "undo", str(runs["stub"]))
    assert status == 2
    assert "is one of stub; only runs of first, second can be undone" in error


def test_another_job_is_a_row_of_the_registry(
    command: Command, jobs_settings_sync: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line, the worker, its scheduler and healthCheck go by the row alone."""
    monkeypatch.setattr(registry, "JOBS", (*registry.JOBS, job(Stub(), missed=SKIP)))
    given: list[Any] = []
    monkeypatch.setattr("nova_stream.cli.programs.prepare_long_run", lambda _: jobs_settings_sync)
    monkeypatch.setattr("nova_stream.jobs.timers.job_timers", lambda *args: given.append(args))
    monkeypatch.setattr("nova_stream.stream.process.run_worker", lambda *_: 0)
    assert command("worker")[0] == 0
    ((settings, jobs, _),) = given
    asyncio.run(_register(settings, jobs))

    stored = asyncio.run(Runs(jobs_settings_sync).fetch("SELECT job FROM job_settings"))
    assert {row["job"] for row in stored} == {*NAMES, "stub"}
    items = json.loads(command("jobs", "list", "--json")[1])["items"]
    assert [item["name"] for item in items] == [*NAMES, "stub"]
    assert command("jobs", "run", "stub")[0] == 0
    health = json.loads(command("jobs", "run", "healthCheck")[1].splitlines()[-1])
    assert list(health["lastRunAgeSeconds"]) == [*NAMES, "stub"]
    assert health["lastRunAgeSeconds"]["stub"] is not None


async def _register(settings: Settings, jobs: tuple[Job, ...]) -> None:
    ledger = Ledger(settings, jobs, system_clock)
    await ledger.register()
    ledger.close()
