"""The capture's lease: a statement that Postgres refuses is told, an outage is waited for."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from nova_stream.capture import lease
from tests.logs import captured


class Connection:
    """One whose statements all fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    async def fetchval(self, *_: object) -> Any:
        self.asked += 1
        raise self.error

    async def execute(self, *_: object) -> Any:
        raise self.error

    def is_closed(self) -> bool:
        return self.asked > 2


class Holding:
    lost_it = False

    def lost(self) -> None:
        self.lost_it = True


ERRORS = [(asyncpg.UndefinedColumnError(), True), (asyncpg.AdminShutdownError(), False)]


@pytest.mark.parametrize(("error", "told"), ERRORS, ids=repr)
async def test_renewing(error: Exception, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_RENEW_S", 0)
    connection: Any = Connection(error)
    holding: Any = Holding()
    log = captured(monkeypatch, lease)
    async with asyncio.timeout(10):
        await lease._keep(connection, "convex", 1, holding)
    assert holding.lost_it
    assert {line["event"] for line in log} == ({"the lease cannot be renewed"} if told else set())


@pytest.mark.parametrize(("error", "told"), ERRORS, ids=repr)
async def test_giving_it_back(
    error: Exception, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection: Any = Connection(error)
    log = captured(monkeypatch, lease)
    await lease._let_go(connection, "convex", 1)
    assert [line["event"] for line in log] == ["the lease cannot be given back"] * told
