"""Children are stopped for certain, and nobody else is."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nova_stream.errors import LocalStackError
from nova_stream.local import processes
from nova_stream.local.processes import Launch

_IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""
#: Ends by itself only once every child beside it has been asked to end, too.
_WAITS_FOR_OTHERS = """
import pathlib, signal, sys, time
mine, *others = map(pathlib.Path, sys.argv[1:])
def asked(*_):
    mine.touch()
    while not all(other.exists() for other in others):
        time.sleep(0.01)
    sys.exit()
signal.signal(signal.SIGTERM, asked)
print("up", flush=True)
time.sleep(600)
"""
_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def _start(
    tmp_path: Path, code: str, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", code, *arguments]
    return processes.start(Launch(argv, log=tmp_path / "log", env=env))


def _first_line(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not (text := path.read_text()).endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return text.strip()


def test_willing_child_ends(tmp_path: Path) -> None:
    child = _start(tmp_path, "print('up', flush=True); import time; time.sleep(600)")
    _first_line(tmp_path / "log")

    assert processes.stop(child, limit=10)
    assert child.returncode == -signal.SIGTERM
    assert not processes.is_running(child)


def test_unwilling_child_is_killed(tmp_path: Path) -> None:
    child = _start(tmp_path, _IGNORES)
    _first_line(tmp_path / "log")

    assert not processes.stop(child, limit=0.2)
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("way", ["stop", "died"])
def test_grandchildren_end_too(tmp_path: Path, way: str) -> None:
    child = _start(tmp_path, _PARENT)
    grandchild = psutil.Process(int(_first_line(tmp_path / "log")))

    if way == "died":
        child.kill()
        while processes.is_running(child):
            time.sleep(0.01)
    processes.stop(child)

    assert psutil.wait_procs([grandchild], timeout=10)[1] == []


def test_stop_all_asks_all_before_it_waits(tmp_path: Path) -> None:
    asked = [tmp_path / f"asked-{number}" for number in range(3)]
    children = []
    for mine in asked:
        folder = tmp_path / f"of-{mine.name}"
        others = [other for other in asked if other != mine]
        children.append(_start(folder, _WAITS_FOR_OTHERS, str(mine), *map(str, others)))
        _first_line(folder / "log")

    processes.stop_all(children, limit=20)

    assert [child.returncode for child in children] == [0, 0, 0]


def test_leftovers_are_found_by_command_line_and_by_mark(tmp_path: Path) -> None:
    child = _start(tmp_path, _IGNORES, env={"NOVA_TEST_MARK": "me"})
    _first_line(tmp_path / "log")

    assert [p.pid for p in processes.find_leftovers(lambda words: _IGNORES in words)] == [child.pid]
    assert [p.pid for p in processes.find_marked("NOVA_TEST_MARK", "me")] == [child.pid]
    assert processes.find_marked("NOVA_TEST_MARK", "you") == []

    processes.end_leftovers(processes.find_marked("NOVA_TEST_MARK", "me"), limit=0.2)
    assert not processes.is_running(child)


def test_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        child = _start(tmp_path, f"print('{text}')")
        child.wait(20)

    assert (tmp_path / "log").read_text() == "second\n"
    assert (tmp_path / "log.1").read_text() == "first\n"


def test_end_instead_of_readiness_shows_the_log(tmp_path: Path) -> None:
    child = _start(tmp_path, "import sys; print('\\tat frame'); sys.exit('no such thing')")

    with pytest.raises(LocalStackError, match=r"it ended with status 1 .*\n.*no such thing") as e:
        processes.wait_ready("it", child, lambda: False, log=tmp_path / "log", limit=20)
    assert "frame" not in str(e.value)


def test_no_answer_in_time_shows_the_log(tmp_path: Path) -> None:
    child = _start(tmp_path, _IGNORES)
    _first_line(tmp_path / "log")

    with pytest.raises(LocalStackError, match=r"it does not answer after 0 s.*\nup"):
        processes.wait_ready("it", child, lambda: False, log=tmp_path / "log", limit=0.1)
    processes.stop(child, limit=0.1)


def test_program_that_is_not_there(tmp_path: Path) -> None:
    launch = Launch(["/nowhere/program"], log=tmp_path / "log", parent_death_signal=None)

    with pytest.raises(LocalStackError, match="/nowhere/program cannot be started"):
        processes.start(launch)
    with pytest.raises(LocalStackError, match="/nowhere/program cannot be run"):
        processes.run(["/nowhere/program"])


def test_run_reports_failure_and_delay() -> None:
    assert processes.run([sys.executable, "-c", "print('fine')"]) == "fine\n"
    with pytest.raises(LocalStackError, match="the thing failed with status 3:\nbad"):
        processes.run([sys.executable, "-c", "print('bad'); exit(3)"], what="the thing")
    with pytest.raises(LocalStackError, match="has not ended after 0 s"):
        processes.run([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.2)
