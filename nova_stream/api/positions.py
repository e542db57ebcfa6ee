"""Waiting until the caches show what somebody has published (read your own writes)."""

from __future__ import annotations

import asyncio
import time

from nova_stream.api.database import Database
from nova_stream.api.problems import ProblemError
from nova_stream.publish.tokens import PositionToken
from nova_stream.storage import read

#: Seconds between two looks; also how old the look may be that several requests share.
_INTERVAL = 0.01


class PositionWatch:
    """Looks at the stream's position for all who wait, once an interval however many they are."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._positions: dict[tuple[str, int], int] = {}
        self._looked_at = float("-inf")

    async def wait(self, token: PositionToken, timeout: float) -> None:
        """Return once everything up to ``token`` is in the caches.

        Raises ProblemError 504 with the current position after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            positions = await self._look()
            if token.reached(positions):
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise _not_reached(token, positions, timeout)
            await asyncio.sleep(min(_INTERVAL, left))

    async def _look(self) -> dict[tuple[str, int], int]:
        async with self._lock:
            # Positions only rise, so that a shared look can be late but never wrong.
            if time.monotonic() - self._looked_at >= _INTERVAL:
                started = time.monotonic()
                async with self._database.connection() as connection:
                    self._positions = await read.positions(connection)
                self._looked_at = started
            return self._positions


def _not_reached(
    token: PositionToken, positions: dict[tuple[str, int], int], timeout: float
) -> ProblemError:
    current: dict[str, dict[int, int]] = {}
    behind = []
    for (topic, partition), wanted in token.offsets():
        offset = positions.get((topic, partition), 0)
        current.setdefault(topic, {})[partition] = offset
        if offset < wanted:
            behind.append(
                {"topic": topic, "partition": partition, "nextOffset": offset, "wanted": wanted}
            )
    return ProblemError(
        504,
        "position-not-reached",
        f"The stream has not come to this token within {timeout:g} s. It goes on: ask again, or "
        "look whether a worker runs.",
        position=PositionToken(current).encode(),
        behind=behind,
    )
