"""The entities that one call has to itself."""

from __future__ import annotations

import time

from nova_stream.errors import TryAgainError
from nova_stream.storage.convex.entity_locks import EntityLocks, Lease
from nova_stream.storage.faults import DATABASE_ERRORS, name_of
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)


class LockSet:
    """Takes locks, one after the other within ``limit`` seconds, and lets go of all at once."""

    def __init__(self, locks: EntityLocks, limit: float = 0.0) -> None:
        self._locks = locks
        self._deadline = time.monotonic() + limit
        self._leases: list[Lease] = []

    def __bool__(self) -> bool:
        """Whether it has anything."""
        return bool(self._leases)

    async def hold(self, name: str) -> None:
        """Have the entity to oneself.

        Raises TryAgainError where others keep it for too long, or what the database raises.
        """
        left = max(self._deadline - time.monotonic(), 0.0)
        try:
            self._leases.append(await self._locks.acquire(name, left))
        except TimeoutError:
            raise TryAgainError(
                "busy",
                "An earlier change of the same entity has not been applied yet; try again, or "
                "look whether a worker runs.",
            ) from None

    def check(self) -> None:
        """Raise TryAgainError when a lock was lost with its session: others may be at it."""
        if not all(map(self._locks.holds, self._leases)):
            raise TryAgainError(
                "database-unavailable",
                "The connection to Postgres broke before anything was written; try again.",
            )

    def passed_on(self) -> LockSet:
        """Another one that has what this one had, and lets go of it in its own time."""
        other = LockSet(self._locks)
        other._leases, self._leases = self._leases, []
        return other

    async def release(self) -> None:
        """Let the next ones have it all; never raises."""
        while self._leases:
            try:
                await self._locks.release(self._leases.pop())
            except DATABASE_ERRORS as error:
                _log.error("a lock cannot be given back", error=name_of(error))
