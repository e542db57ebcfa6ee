"""``nova-stream topics`` without Kafka and Postgres: what it refuses before it asks."""

from __future__ import annotations

import pytest

from nova_stream.cli.main import run


@pytest.mark.parametrize(
    ("words", "said"), [(["new-source"], "TOPIC"), (["new-source", "tasks"], "nova.tasks")]
)
def test_wrong_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topics", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_without_kafka(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", "127.0.0.1:1")
    assert run(["topics", "new-source", "nova.tasks"]) == 1
    assert "no Kafka can be used at 127.0.0.1:1" in capsys.readouterr().err
