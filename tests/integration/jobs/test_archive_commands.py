"""``nova-stream executions`` and ``nova-stream archive``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_stream.cli.main import run
from nova_stream.jobs.compact_old_executions import run_once
from nova_stream.settings import load_settings
from tests.integration.jobs.work import Runs

pytestmark = pytest.mark.integration

FILL = """
INSERT INTO executions (id, task_id, agent, duration, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
VALUES
    ('e1', 't1', 'MARS', 12.5, '2026-01-02T03:04:05.006Z', 1, 0, now(), 0, 1,
        '{"id": "e1", "prompt": "Do\\u001b[31m it", "n": 1.10, "list": [1]}'),
    ('e2', NULL, 'MARS', NULL, '2026-02-02', 1, 0, now(), 0, 2, '{"id": "e2"}')
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    migrated_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Runs a command on a database with an archived execution; status, output, errors."""
    monkeypatch.setenv("NOVA_DATABASE_URL", migrated_database)
    monkeypatch.setenv("NOVA_ARCHIVE_URL", f"file://{tmp_path}/archive")
    settings = load_settings()
    runs = Runs(settings)
    asyncio.run(runs.execute(FILL))
    assert asyncio.run(runs.run(run_once))["compacted"] == 1

    def perform(*words: str) -> tuple[int, str, str]:
        status = run(words)
        out, err = capsys.readouterr()
        return status, out, err

    yield perform


def parsed(text: str) -> Any:
    return json.loads(text)


def test_show(command: Command) -> None:
    status, out, _ = command("executions", "show", "e1")
    assert status == 0
    assert "document    executions/day=2026-01-02/run-1-" in out
    assert "since 2026-02-20T12:00:00.000Z" in out
    assert "  prompt: Do\\x1b[31m it" in out

    status, out, _ = command("executions", "show", "e1", "--json")
    found = parsed(out)
    assert found["document"] == {"id": "e1", "prompt": "Do\x1b[31m it", "n": 1.1, "list": [1]}
    assert '"n":1.10' in out
    assert (found["timestamp"], found["duration"]) == ("2026-01-02T03:04:05.006Z", 12.5)
    assert found["archivedAt"] == "2026-02-20T12:00:00.000Z"

    status, out, _ = command("executions", "show", "e2", "--json")
    assert (status, parsed(out)["archived"]) == (0, None)


def test_an_execution_that_is_not_there(command: Command) -> None:
    status, _, err = command("executions", "show", "e9")
    assert (status, err) == (2, "error: there is no execution e9\n")


def test_list_and_restore(command: Command) -> None:
    status, out, _ = command("archive", "list")
    assert status == 0
    assert out.splitlines()[1].split()[:2] == ["2026-01-02", "1"]
    _, out, _ = command("archive", "list", "--json")
    (item,) = parsed(out)["items"]
    assert (item["day"], item["rows"], item["state"]) == ("2026-01-02", 1, "done")

    assert command("archive", "restore", "2026-01-02")[:2] == (0, "restored 1\n")
    assert command("archive", "restore", "--id", "e1", "--json")[:2] == (0, '{"restored": 0}\n')
    _, out, _ = command("executions", "show", "e1")
    assert "document    database" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give either a day or --id"),
        (("2026-01-02", "--id", "e1"), "give either a day or --id"),
        (("yesterday",), "'yesterday' is not a date"),
        (("2026-01-03",), "nothing of 2026-01-03"),
        (("--id", "e9"), "no execution e9"),
    ],
)
def test_wrong_usage(command: Command, words: tuple[str, ...], message: str) -> None:
    status, _, err = command("archive", "restore", *words)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_an_archive_that_is_gone(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOVA_ARCHIVE_URL", f"file://{tmp_path}/elsewhere")
    status, _, err = command("executions", "show", "e1")
    assert status == 1
    assert "NOVA_ARCHIVE_URL" in err
    assert len(err.splitlines()) == 1


def test_a_wrong_address(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOVA_ARCHIVE_URL", "ftp://somewhere/else")
    status, _, err = command("archive", "list")
    assert status == 2
    assert "NOVA_ARCHIVE_URL='ftp://somewhere/else'" in err
