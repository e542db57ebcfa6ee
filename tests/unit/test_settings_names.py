"""Variables whose names are misspelt are named, with the setting that is meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from nova_stream.cli import start
from nova_stream.cli.main import run
from nova_stream.settings import Settings, unknown_variables


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [name for name in os.environ if name.upper().startswith("NOVA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NOVA_KAFKA_BROKER", "NOVA_KAFKA_BROKERS"),
        ("NOVA_DATABSE_URL", "NOVA_DATABASE_URL"),
        ("NOVA_PARTITION", "NOVA_PARTITIONS"),
        ("NOVA_METRIC_PORT", "NOVA_METRICS_PORT"),
        ("NOVA_TOPICPREFIX", "NOVA_TOPIC_PREFIX"),
        ("nova_kafka_broker", "NOVA_KAFKA_BROKERS"),
        ("NOVA_FLY_TO_THE_MOON", None),
    ],
)
def test_a_misspelt_variable_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str | None
) -> None:
    monkeypatch.setenv(name, "x")
    assert unknown_variables() == {name.upper(): meant}


def test_settings_and_what_others_read_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"NOVA_{name.upper()}", "x")
    for name in ("NOVA_CACHE_DIR", "NOVA_TEST_KAFKA_BROKERS", "nova_partitions", "NOVAE"):
        monkeypatch.setenv(name, "x")
    assert unknown_variables() == {}


def test_what_kubernetes_sets_for_services_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        "NOVA_API_SERVICE_HOST",
        "NOVA_API_SERVICE_PORT_HTTP",
        "NOVA_API_PORT",
        "NOVA_API_PORT_8600_TCP_ADDR",
    ]
    for name in names:
        monkeypatch.setenv(name, "x")
    assert set(unknown_variables()) == set(names)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert unknown_variables() == {}


def test_a_misspelt_name_in_the_env_file_is_found(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NOVA_BUFER_BYTES=1\nPOSTGRES_PASSWORD=x\n")
    assert unknown_variables() == {"NOVA_BUFER_BYTES": "NOVA_BUFFER_BYTES"}


def test_what_runs_for_long_says_it_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nova_stream.telemetry.configure_logging", lambda _: None)
    structlog.reset_defaults()
    monkeypatch.setenv("NOVA_KAFKA_BROKER", "secret")
    monkeypatch.setenv("NOVA_FLY_TO_THE_MOON", "secret")
    with capture_logs() as lines:
        start.prepare_long_run("a program")
    (line,) = lines
    assert line["log_level"] == "warning"
    assert line["variables"] == ["NOVA_FLY_TO_THE_MOON", "NOVA_KAFKA_BROKER"]
    assert line["meant"] == ["NOVA_KAFKA_BROKERS"]
    assert "secret" not in str(line)


def test_doctor_warns_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def nothing(*_: object, **__: object) -> object:
        return
        yield

    monkeypatch.setattr("nova_stream.cli.checks.examine", nothing)
    monkeypatch.setenv("NOVA_KAFKA_BROKER", "127.0.0.1:1")
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok       settings      can be read",
        "warning  settings      NOVA_KAFKA_BROKER is not a setting and has no effect -> "
        "NOVA_KAFKA_BROKERS is meant?",
    ]
    assert run(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [check["ok"] for check in checks] == [True, True]
