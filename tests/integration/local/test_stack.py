"""The whole stack with stand-ins for nova-stream's own commands."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from nova_stream.errors import LocalStackError
from nova_stream.local.kafka import broker_answers
from nova_stream.local.ports import free_port
from nova_stream.local.postgres import LocalPostgres
from nova_stream.local.processes import find_marked
from nova_stream.local.sql import postgres_answers
from nova_stream.local.stack import Stack

from .helpers import alive, eventually, processes_of
from .stub_stack import commands

pytestmark = [pytest.mark.integration, pytest.mark.long]

_STUB = Path(__file__).with_name("stub_stack.py")


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-ins tell what they were given."""
    folder = tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setenv("STUB_DIR", str(folder))
    for name in ("NOVA_KAFKA_BROKERS", "NOVA_DATABASE_URL", "NOVA_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return folder


def _note(notes: Path, name: str) -> dict[str, Any]:
    eventually((notes / name).exists)
    found: dict[str, Any] = json.loads((notes / name).read_text())
    return found


def _settings(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@contextmanager
def _dev(data_dir: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(_STUB), "dev", str(data_dir), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()


def _read_summary(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Dashboard"):
            return lines
    assert process.stderr is not None
    raise AssertionError(f"ended before it was ready: {lines} {process.stderr.read()}")


def test_dev_from_start_to_ctrl_c(tmp_path: Path, notes: Path) -> None:
    folder = tmp_path / "with a space"
    with _dev(folder) as process:
        summary = _read_summary(process)
        settings = _settings(folder / "stack.env")

        assert len(summary) <= 12
        assert summary[-1] == (
            f"Dashboard: {settings['NOVA_API_URL']}/#token={settings['NOVA_API_TOKEN']}"
        )
        assert any(settings["NOVA_DATABASE_URL"] in line for line in summary)
        assert any(settings["NOVA_KAFKA_BROKERS"] in line for line in summary)
        assert stat.S_IMODE((folder / "stack.env").stat().st_mode) == 0o600
        assert broker_answers(settings["NOVA_KAFKA_BROKERS"])
        assert postgres_answers(settings["NOVA_DATABASE_URL"])
        assert urllib.request.urlopen(settings["NOVA_API_URL"]).status == 200
        for name in ("migrate", "worker", "api", "demo"):
            given = _note(notes, name)["settings"]
            for variable in ("NOVA_KAFKA_BROKERS", "NOVA_DATABASE_URL", "NOVA_API_TOKEN"):
                assert given[variable] == settings[variable]
        assert _note(notes, "worker")["settings"]["NOVA_METRICS_PORT"] == "0"
        assert settings["NOVA_ARCHIVE_URL"] == (folder / "archive").as_uri()

        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # impatience must not leave anything behind
        _, said = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert not (folder / "stack.env").exists()
    assert processes_of(folder) == []
    assert find_marked("NOVA_STACK_DIR", str(folder.resolve())) == []
    assert (folder / "postgres" / "PG_VERSION").exists()


def test_ephemeral_leaves_nothing(tmp_path: Path, notes: Path) -> None:
    folder = tmp_path / "gone"
    with _dev(folder, "--ephemeral") as process:
        assert any("deleted when this stops" in line for line in _read_summary(process))
        process.terminate()
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert not folder.exists()


def test_start_after_kill_9(tmp_path: Path, notes: Path) -> None:
    folder = tmp_path / "data"
    with _dev(folder) as killed:
        _read_summary(killed)
        children = psutil.Process(killed.pid).children(recursive=True)
        before = _settings(folder / "stack.env")
        killed.kill()
        killed.communicate(timeout=60)
    assert len(children) >= 5

    with _dev(folder) as process:
        _read_summary(process)

        after = _settings(folder / "stack.env")
        assert alive(children) == []
        assert after["NOVA_API_TOKEN"] == before["NOVA_API_TOKEN"]
        assert after["NOVA_DATABASE_URL"] == before["NOVA_DATABASE_URL"]


def test_second_dev_on_the_same_folder_and_a_third_beside(tmp_path: Path, notes: Path) -> None:
    with _dev(tmp_path / "one") as first:
        address = _read_summary(first)[-1]

        with _dev(tmp_path / "one") as second:
            out, said = second.communicate(timeout=60)
        assert second.returncode == 1
        assert out == ""
        lines = said.strip().splitlines()
        assert len(lines) == 1
        assert f"process {first.pid} runs nova-stream dev in {tmp_path / 'one'}" in lines[0]

        with _dev(tmp_path / "two") as third:
            assert _read_summary(third)[-1] != address
        assert third.returncode == 0
        assert first.poll() is None


def test_given_port_is_taken(tmp_path: Path, notes: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        stack = Stack(tmp_path / "data", commands=commands(), port=port)

        with pytest.raises(LocalStackError, match=f"port {port} .* give another --port"):
            stack.start()
        stack.stop()

    assert not (tmp_path / "data").exists()


def test_servers_of_the_environment_are_used(
    tmp_path: Path, notes: Path, nova_kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", nova_kafka)
    with LocalPostgres(tmp_path / "given", fsync=False) as given:
        monkeypatch.setenv("NOVA_DATABASE_URL", given.url)
        stack = Stack(tmp_path / "data", commands=commands(demo=False), port=free_port())
        try:
            addresses = stack.start()

            assert (addresses.own_kafka, addresses.own_postgres) == (False, False)
            assert (addresses.kafka, addresses.database_url) == (nova_kafka, given.url)
            assert not (tmp_path / "data" / "kafka").exists()
            assert not (tmp_path / "data" / "postgres").exists()
        finally:
            stack.stop()
        assert given.is_running()


def test_what_dies_is_started_again(
    tmp_path: Path, notes: Path, nova_kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", nova_kafka)
    said: list[str] = []
    stack = Stack(
        tmp_path / "data", commands=commands(), port=free_port(), ephemeral=True, say=said.append
    )
    try:
        addresses = stack.start()
        first = _note(notes, "worker")["pid"]
        (server,) = [p for p in processes_of(tmp_path / "data") if p.name() == "postgres"]

        psutil.Process(first).kill()
        server.kill()

        def back() -> bool:
            stack.check()
            return bool(_note(notes, "worker")["pid"] != first)

        eventually(back)
        assert postgres_answers(addresses.database_url)
        assert any(text.startswith("worker ended with status -9") for text in said)
        assert any(text.startswith("Postgres ended unexpectedly") for text in said)
    finally:
        stack.stop()
    assert not (tmp_path / "data").exists()


def test_failed_migration_stops_all(
    tmp_path: Path, notes: Path, nova_kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", nova_kafka)
    failing = [sys.executable, "-c", "import sys; sys.exit('no room')"]
    stack = Stack(tmp_path / "data", commands=commands(migrate=failing), ephemeral=True)

    with pytest.raises(LocalStackError, match=r"nova-stream migrate failed .*\n.*no room"):
        stack.start()
    stack.stop()

    assert processes_of(tmp_path / "data") == []
    assert not (tmp_path / "data").exists()
