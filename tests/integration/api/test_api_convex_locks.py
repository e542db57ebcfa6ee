"""One at a time with an entity, whatever happens to the session that holds the locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from nova_stream.api.convex.lock_set import LockSet
from nova_stream.errors import TryAgainError
from nova_stream.settings import Settings
from nova_stream.storage.convex.entity_locks import EntityLocks
from nova_stream.storage.database import connect
from tests.integration.stream.harness import until

pytestmark = pytest.mark.integration

CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'nova-stream api locks' AND datname = current_database()
"""


@pytest.fixture
async def locks(nova_settings: Settings) -> AsyncIterator[EntityLocks]:
    found = EntityLocks(nova_settings)
    yield found
    await found.close()


@pytest.fixture
async def others(nova_settings: Settings) -> AsyncIterator[EntityLocks]:
    """Those of another process."""
    found = EntityLocks(nova_settings)
    yield found
    await found.close()


async def test_a_lock_is_had_by_one(locks: EntityLocks, others: EntityLocks) -> None:
    lease = await locks.acquire("tasks:1", 1)
    for each in (locks, others):
        with pytest.raises(TimeoutError):
            await each.acquire("tasks:1", 0.1)
        await each.release(await each.acquire("tasks:2", 1))
    waiting = asyncio.create_task(others.acquire("tasks:1", 10))
    await locks.release(lease)
    await others.release(await waiting)
    await locks.release(await locks.acquire("tasks:1", 1))


async def test_a_process_that_goes_lets_go(locks: EntityLocks, others: EntityLocks) -> None:
    await locks.acquire("tasks:1", 1)
    await locks.close()
    await others.release(await others.acquire("tasks:1", 10))


async def test_a_lost_session_is_noticed_and_replaced(
    locks: EntityLocks, nova_settings: Settings
) -> None:
    holding = LockSet(locks, 5)
    await holding.hold("tasks:1")
    holding.check()
    connection = await connect(nova_settings, "test")
    try:
        assert await connection.fetchval(CUT) == 1
    finally:
        await connection.close()

    async def noticed() -> bool:
        try:
            holding.check()
        except TryAgainError as error:
            return error.kind == "database-unavailable"
        return False

    await until("the loss is noticed", noticed)
    await holding.release()
    again = LockSet(locks, 5)
    await again.hold("tasks:1")
    again.check()
    await again.release()


async def test_a_turn_that_does_not_come_is_told(locks: EntityLocks) -> None:
    first, second = LockSet(locks, 1), LockSet(locks, 0.1)
    await first.hold("tasks:1")
    with pytest.raises(TryAgainError) as told:
        await second.hold("tasks:1")
    assert told.value.kind == "busy"
    kept = first.passed_on()
    await first.release()
    with pytest.raises(TryAgainError):
        await LockSet(locks, 0.1).hold("tasks:1")
    await kept.release()
    await second.release()
