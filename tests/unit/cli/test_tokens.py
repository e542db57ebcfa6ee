"""``nova-stream tokens`` without Postgres: what it refuses before it asks."""

from __future__ import annotations

import pytest

from nova_stream.cli.main import run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "a"], "--scope"),
        (["create", "a", "--scope", "everything"], "read"),
        (["create", "two words", "--scope", "read"], "not a valid name"),
        (["create", "", "--scope", "read"], "not a valid name"),
        (["create", "a", "--scope", "read", "--expires", "0"], "--expires"),
        (["create", "a", "--scope", "read", "--expires", "forever"], "never"),
        (["create", "a", "--scope", "read", "--expires", "36501"], "--expires"),
        (["rotate", "a", "--expires", "0"], "--expires"),
        (["rotate", "a", "--overlap", "-1"], "--overlap"),
        (["revoke"], "name"),
    ],
)
def test_wrong_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tokens", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_without_postgres(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_DATABASE_URL", "postgresql://nova:hidden@127.0.0.1:1/nova")
    assert run(["tokens", "list"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: Postgres at 127.0.0.1:1/nova cannot be used")
    assert "hidden" not in err
