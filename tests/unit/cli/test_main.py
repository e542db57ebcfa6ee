"""The command line as a whole: quick help, one line an error, exit statuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from nova_stream.cli import main
from nova_stream.cli.main import run
from nova_stream.errors import PublishError, SettingsError
from nova_stream.local.ports import free_port

COMMANDS = (
    "dev",
    "publish",
    "doctor",
    "migrate",
    "worker",
    "api",
    "audit",
    "status",
    "agents",
    "builds",
    "logs",
    "dead-letters",
    "dead-letters list",
    "dead-letters show",
    "dead-letters retry",
    "dead-letters unpack",
    "dead-letters discard",
    "demo",
)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], list[str]]:
    """Words of a command that raises the given error."""

    def words(error: BaseException) -> list[str]:
        app = typer.Typer()
        app.callback()(lambda: None)

        @app.command("fail")
        def fail() -> None:
            raise error

        monkeypatch.setattr(main, "app", app)
        return ["fail"]

    return words


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a failed command has written."""
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_without_words_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0

    shown = capsys.readouterr().out
    for command in COMMANDS[:8]:
        assert f" {command} " in shown
    assert " demo " not in shown  # part of dev


def every_command(command: Any, *path: str) -> Iterator[str]:
    if path != ("bench",):  # its help is that of the benchmarks
        yield " ".join(path)
    for name, inner in getattr(command, "commands", {}).items():
        yield from every_command(inner, *path, name)


@pytest.mark.parametrize("command", list(every_command(typer.main.get_command(main.app))))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0

    output = capsys.readouterr()
    assert f"nova-stream {command}".rstrip() in output.out
    assert output.err == ""
    for noise in ("<bool>", "<str>", "<int", "<float", "<list", "[default: None]"):
        assert noise not in output.out


def test_help_is_quick_since_nothing_heavy_is_imported() -> None:
    heavy = ("aiokafka", "asyncpg", "faust", "fastapi", "pydantic", "sqlalchemy", "confluent_kafka")
    script = (
        "import sys\n"
        "from nova_stream.cli.main import run\n"
        "run(['--help'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stderr == "[]\n"


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "nova_stream.cli.main", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == f"nova-stream {version('nova-stream')}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["fly"],
        ["dev", "--fast"],
        ["dev", "--port", "99999"],
        ["dev", "--rate", "much"],
        ["demo", "--rate", "0"],
        ["publish"],
        ["publish", "a", "b"],
        ["publish", "-", "--batch", "0"],
        ["dead-letters", "lsit"],
        ["dead-letters", "show", "one"],
        ["dead-letters", "show", "99999999999999999999"],
        ["dead-letters", "retry", "0"],
        ["dead-letters", "list", "--state", "gone"],
        ["audit", "now"],
    ],
)
def test_wrong_usage_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2

    assert error_of(capsys).endswith("--help shows what is allowed)")


@pytest.mark.parametrize(
    "command", [["migrate"], ["audit"], ["worker"], ["demo"], ["publish", "-"]]
)
def test_a_wrong_setting_is_one_line(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_PARTITIONS", "many")

    assert run(command) == 2

    assert error_of(capsys).startswith("error: NOVA_PARTITIONS='many': ")


def test_each_wrong_setting_has_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_PARTITIONS", "many")
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", "here")

    assert run(["migrate"]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split("=")[0] for line in lines) == [
        "error: NOVA_KAFKA_BROKERS",
        "error: NOVA_PARTITIONS",
    ]


@pytest.mark.parametrize("command", [["migrate"], ["audit"], ["dead-letters", "list"]])
def test_no_postgres_is_one_line(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_DATABASE_URL", f"postgresql://u:secret@127.0.0.1:{free_port()}/nova")

    assert run(command) == 1

    line = error_of(capsys)
    assert "NOVA_DATABASE_URL" in line
    assert "secret" not in line


@pytest.mark.parametrize("command", [["demo"], ["publish", "changes.jsonl"]])
def test_no_kafka_is_one_line(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", f"127.0.0.1:{free_port()}")
    Path("changes.jsonl").write_text('{"entity": "users", "after": {"id": "u-1"}}')

    assert run(command) == 1

    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: no Kafka can be used at 127.0.0.1:")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (PublishError("nobody answered"), 1, "error: nobody answered"),
        (SettingsError("NOVA_X: wrong"), 2, "error: NOVA_X: wrong"),
        (
            ValueError("two\nlines"),
            1,
            "error: ValueError: two lines (unexpected; NOVA_LOG_LEVEL=debug shows where)",
        ),
        (
            ZeroDivisionError(),
            1,
            "error: ZeroDivisionError: no message (unexpected; NOVA_LOG_LEVEL=debug shows where)",
        ),
    ],
)
def test_errors_are_one_line(
    failing: Callable[[BaseException], list[str]],
    error: Exception,
    status: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(failing(error)) == status

    assert error_of(capsys) == line


def test_debugging_shows_where(
    failing: Callable[[BaseException], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NOVA_LOG_LEVEL", "debug")

    assert run(failing(ValueError("unforeseen"))) == 1

    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_quiet(
    failing: Callable[[BaseException], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failing(KeyboardInterrupt())) == 130

    output = capsys.readouterr()
    assert output.out + output.err == ""


def test_dev_gets_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def dev(data_dir: object, port: object, **options: object) -> int:
        seen.update(options, data_dir=str(data_dir), port=port)
        return 3

    monkeypatch.setattr("nova_stream.cli.dev_run.dev", dev)
    words = ["--data-dir", "here", "--port", "9", "--no-demo", "--ephemeral", "--rate", "0.5"]

    assert run(["dev", *words]) == 3
    assert seen == {"data_dir": "here", "port": 9, "demo": False, "ephemeral": True, "rate": 0.5}
    assert run(["dev"]) == 3
    assert seen == {
        "data_dir": ".nova-stream",
        "port": None,
        "demo": True,
        "ephemeral": False,
        "rate": 20.0,
    }
