"""``nova-stream logs``: the last lines of a stack's parts, and those that come."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from nova_stream.cli.main import run

ENTRY = '{"event": "flush", "level": "warning", "timestamp": "T", "rows": 3, "error": null}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / ".nova-stream" / "logs"
    found.mkdir(parents=True)
    (found.parent / "run").mkdir()
    (found / "worker.log").write_text(f"first\n{ENTRY}\nnot yet en")
    (found / "kafka.log").write_text("\x1b[31mkafka\n")
    return found


@pytest.mark.usefixtures("folder")
def test_the_last_lines_of_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs", "-n", "1"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "worker   T warning flush rows=3",
        "kafka    \\x1b[31mkafka",
    ]
    assert run(["logs", "worker"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.usefixtures("folder")
def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs", "worker", "--json"]) == 0

    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"part": "worker", "text": "first"}
    assert second == {"part": "worker", **json.loads(ENTRY)}


def test_new_lines_are_followed_into_a_new_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "worker.log"

    def go_on() -> None:
        path.write_text(path.read_text() + "ded\n")

    def start_again() -> None:
        path.replace(folder / "worker.log.1")
        path.write_text("second life\n")

    def stop() -> None:
        raise KeyboardInterrupt

    steps = [go_on, lambda: None, start_again, stop]
    monkeypatch.setattr(time, "sleep", lambda _: steps.pop(0)())

    assert run(["logs", "worker", "--follow", "--lines", "0"]) == 130

    said = [line.removeprefix("worker   ") for line in capsys.readouterr().out.splitlines()]
    assert said == ["not yet ended", "second life"]


def test_no_logs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs"]) == 1
    assert "no logs of nova-stream dev in ./.nova-stream; --data-dir" in capsys.readouterr().err
