"""A worker that starts waits for what is away, and for nothing else."""

from __future__ import annotations

import asyncpg
import pytest

from nova_stream.errors import DatabaseUnavailableError, KafkaUnavailableError, TopicError
from nova_stream.stream import patience
from tests.logs import captured


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailableError("gone"),
        KafkaUnavailableError("gone"),
        ConnectionResetError(),
        asyncpg.ConnectionDoesNotExistError("closed in the middle"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.AdminShutdownError("stopping"),
    ],
    ids=repr,
)
async def test_an_outage_is_waited_for(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(patience, "_RETRY_S", 0.0)
    log = captured(monkeypatch, patience)
    failures = [error, error]

    async def ask() -> int:
        if failures:
            raise failures.pop()
        return 7

    assert await patience.patiently("it", ask) == 7
    assert [line["event"] for line in log] == ["waiting for it", "it answers"]
    assert log[0]["error"]


@pytest.mark.parametrize(
    "error",
    [asyncpg.UndefinedColumnError("no such column"), TopicError("other kind"), TypeError()],
    ids=repr,
)
async def test_what_a_person_must_mend_is_raised(error: Exception) -> None:
    async def ask() -> None:
        raise error

    with pytest.raises(type(error)):
        await patience.patiently("it", ask)
