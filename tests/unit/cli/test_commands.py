"""What single commands do without Kafka and Postgres."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from nova_stream.cli import bench, builds, dead_letters
from nova_stream.cli.main import run
from nova_stream.cli.tables import print_table, printable
from nova_stream.events.change import BUILD_STATUSES
from nova_stream.kafka.batch_records import BROKEN
from nova_stream.kafka.large_batches import LARGE
from nova_stream.storage.dead_letters.read import WholeDeadLetter


def test_publish_names_what_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, reason in (("nowhere.jsonl", "No such file"), (str(tmp_path), "Is a directory")):
        assert run(["publish", name]) == 2
        assert capsys.readouterr().err.startswith(f"error: {name} cannot be read: {reason}")


def test_publish_names_every_bad_line_before_it_asks_for_kafka(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = b'{"entity": "users"}\n[]\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))

    assert run(["publish", "-"]) == 1

    output = capsys.readouterr()
    first, second, verdict = output.err.splitlines()
    assert first.startswith("line 1: missing_id: ")
    assert second.startswith("line 2: wrong_shape: ")
    assert verdict.startswith("error: 2 of 2 lines are bad, nothing was sent")
    assert output.out == ""


@pytest.mark.parametrize(
    "words",
    [["retry"], ["discard"], ["retry", "1", "--all"], ["discard", "1", "--reason", "bad_json"]],
)
def test_dead_letters_are_chosen_by_number_or_all_together(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dead-letters", *words]) == 2

    assert "--all" in capsys.readouterr().err


def test_doctor_tells_of_wrong_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", "here")

    assert run(["doctor"]) == 1

    output = capsys.readouterr()
    assert output.out.startswith("PROBLEM  settings      NOVA_KAFKA_BROKERS='here': ")
    assert output.err == ""


def test_benchmarks_need_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "site" / "nova_stream" / "cli" / "b.py"))

    assert run(["bench", "throughput"]) == 2

    assert "a checkout of nova-stream" in capsys.readouterr().err


def test_benchmarks_without_a_name_only_tell_which_there_are() -> None:
    command = [sys.executable, "-m", "benchmarks"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("usage: nova-stream bench")
    assert "source-audit" in done.stdout


def test_benchmarks_get_all_words_and_give_their_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def fake_run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        calls.append((command, options))
        return subprocess.CompletedProcess(command, 4)

    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__main__.py").touch()
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "nova_stream" / "cli" / "bench.py"))
    monkeypatch.setattr(subprocess, "run", fake_run)

    assert run(["bench", "a", "--events", "5", "--help"]) == 4

    ((command, options),) = calls
    assert command == [sys.executable, "-m", "benchmarks", "a", "--events", "5", "--help"]
    assert options["cwd"] == tmp_path


def test_tables_keep_a_row_on_one_line_in_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "message"), [(1, "word " * 100), (22, "[red]\x1b[31m\n[/red]")])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].rstrip() == "22  [red]\\x1b[31m\\n[/red]"


def test_what_steers_a_terminal_is_made_visible() -> None:
    assert printable("plain ü 漢 'quoted' \"too\" \\") == "plain ü 漢 'quoted' \"too\" \\"
    assert printable("\x1b]0;title\x07\r\n\t\u202e") == "\\x1b]0;title\\x07\\r\\n\\t\\u202e"


@pytest.mark.parametrize("begin", [LARGE, BROKEN, b"{"])
def test_a_letter_that_is_a_batch_says_how_to_publish_it(begin: bytes) -> None:
    letter = WholeDeadLetter(
        id=17,
        state="open",
        topic="nova.tasks",
        partition=3,
        offset=9,
        generation=0,
        key=None,
        reason="bad_json",
        detail="m",
        size=9,
        timestamp=None,
        recorded_at="2026-02-20T12:00:00.000Z",
        attempts=1,
        key_base64=None,
        value_text=None,
        value_base64=base64.b64encode(begin + b"\xff").decode(),
        headers=[],
    )
    shown = "\n".join(dead_letters._lines(letter))
    hint = "nova-stream dead-letters unpack 17"
    assert (hint in shown) is (begin != b"{")


def test_builds_are_chosen_by_every_status() -> None:
    assert get_args(builds._State) == BUILD_STATUSES
