"""Commands find the stack of `nova-stream dev` in or above the current folder."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_stream.cli.main import run
from nova_stream.cli.start import prepare_quiet
from nova_stream.local.locks import FileLock
from nova_stream.local.stack_env import find_stack, forget_stack, write_stack_env

SETTINGS = {
    "NOVA_KAFKA_BROKERS": "127.0.0.1:19092",
    "NOVA_DATABASE_URL": "postgresql://nova:it's@127.0.0.1:15432/nova",
    "NOVA_API_TOKEN": "the-token-of-the-stack",
}


def stack_in(folder: Path, **changed: str) -> Path:
    data = folder / ".nova-stream"
    data.mkdir(exist_ok=True)
    path = data / "stack.env"
    write_stack_env(path, {**SETTINGS, **changed}, SETTINGS.keys())
    return path


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """The stack.env of a stack that runs in the current folder."""
    path = stack_in(tmp_path)
    with FileLock(path.with_name("dev.lock")):
        yield path


def sourced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process what a shell has that has read the file."""
    script = f"set -a; . {shlex.quote(str(path))}; env -0"
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    for item in said.decode().split("\0"):
        name, _, value = item.partition("=")
        if name.startswith("NOVA_"):
            monkeypatch.setenv(name, value)


def used() -> tuple[str, str]:
    settings = prepare_quiet()
    return ",".join(settings.kafka_brokers), settings.database_url.get_secret_value()


STACK = (SETTINGS["NOVA_KAFKA_BROKERS"], SETTINGS["NOVA_DATABASE_URL"])
DEFAULT = ("127.0.0.1:9092", "postgresql://nova:nova@127.0.0.1:5432/nova")


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("below", ["", "src/deep"])
def test_a_running_stack_is_used_in_and_below_its_folder(
    below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / below)

    assert used() == STACK

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("note: settings from ")
    assert output.err.endswith(".nova-stream/stack.env\n")


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("where", ["environment", ".env"])
@pytest.mark.parametrize("name", ["NOVA_KAFKA_BROKERS", "NOVA_DATABASE_URL"])
def test_who_names_kafka_or_postgres_gets_nothing_of_a_stack(
    name: str, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = {"NOVA_KAFKA_BROKERS": "kafka:1", "NOVA_DATABASE_URL": "postgresql://u@db/x"}[name]
    if where == ".env":
        Path(".env").write_text(f"{name}={value}\n")
    else:
        monkeypatch.setenv(name, value)

    found = used()

    assert value in found
    assert not set(found) & set(STACK)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("running")
def test_other_settings_of_the_environment_come_before_the_stacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOVA_API_TOKEN", "mine")

    token = prepare_quiet().api_token

    assert token is not None
    assert token.get_secret_value() == "mine"
    assert used() == STACK


def test_a_stack_that_does_not_run_is_told_and_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stack_in(tmp_path)  # as a kill -9 leaves it
    assert used() == DEFAULT
    killed = capsys.readouterr().err

    path.unlink()
    path.with_name("run").mkdir()  # as an end leaves it
    assert used() == DEFAULT

    ended = capsys.readouterr().err
    assert killed == ended
    assert ended == "note: the stack in ./.nova-stream is not running; nova-stream dev starts it\n"


def test_a_stack_that_is_starting_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(tmp_path / ".nova-stream" / "dev.lock"):
        assert used() == DEFAULT

    assert "is starting in ./.nova-stream" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_a_file_that_others_can_write_is_not_used(
    running: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running.chmod(0o622)

    assert used() == DEFAULT
    assert "stack.env is not used: it must be yours" in capsys.readouterr().err


def test_a_stack_on_new_ports_is_found_in_a_shell_that_has_read_its_old_file(
    running: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sourced(running, monkeypatch)
    stack_in(tmp_path, NOVA_KAFKA_BROKERS="127.0.0.1:29092")
    monkeypatch.chdir("/")

    assert used() == ("127.0.0.1:29092", SETTINGS["NOVA_DATABASE_URL"])


def test_what_a_shell_sets_after_it_has_read_a_file_is_its_own(
    running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sourced(running, monkeypatch)
    monkeypatch.setenv("NOVA_DATABASE_URL", "postgresql://u@db/x")

    assert used() == (SETTINGS["NOVA_KAFKA_BROKERS"], "postgresql://u@db/x")


def test_dev_forgets_what_a_file_gave_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sourced(stack_in(tmp_path), monkeypatch)
    monkeypatch.setenv("NOVA_API_TOKEN", "mine")
    environment = dict(os.environ)

    gone = forget_stack(environment)

    assert gone == {"NOVA_KAFKA_BROKERS", "NOVA_DATABASE_URL"}
    assert {n for n in environment if n.startswith("NOVA_")} == {"NOVA_API_TOKEN"}


def test_the_nearest_folder_decides(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    stack_in(tmp_path)
    (inner / ".nova-stream" / "archive").mkdir(parents=True)  # of a worker without a stack
    found = find_stack(inner, {})
    assert found is not None
    assert found.path.parent.parent == tmp_path

    stack_in(inner)
    found = find_stack(inner, {})
    assert found is not None
    assert found.path.parent.parent == inner


@pytest.mark.usefixtures("running")
def test_doctor_says_which_file_it_took(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_PARTITIONS", "8")

    assert run(["doctor"]) == 1  # nothing listens there

    output = capsys.readouterr()
    assert output.out.splitlines()[0] == (
        "ok       settings      can be read, from ./.nova-stream/stack.env"
    )
    assert output.err == ""
