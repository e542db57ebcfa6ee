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


def test_nothing_begins_without_the_audit_trail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", "127.0.0.1:1")
    monkeypatch.setenv("NOVA_DATABASE_URL", "postgresql://nova@127.0.0.1:1/nova")
    assert run(["topics", "new-source", "nova.tasks"]) == 1
    assert "Postgres at 127.0.0.1:1/nova cannot be used" in capsys.readouterr().err
