"""Room in memory for what requests work with."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

from nova_stream.api.problems import ProblemError

_MB = 1024 * 1024
#: Bytes that all requests together may work with, and that bodies on their way may have.
_WORKING, _UPLOADS = 128 * _MB, 24 * _MB
#: Seconds that a request waits for room, and how many may wait.
_PATIENCE_S = 10.0
_WAITING = 500


class Room:
    """``size`` bytes for all requests. Nobody takes more than three quarters of it, except for one
    request at a time that needs more, so that nobody keeps all others out.
    """

    def __init__(self, size: int, patience: float = _PATIENCE_S, waiting: int = _WAITING) -> None:
        self.size = size
        self.held = 0
        self._patience = patience
        self._most_waiting = waiting
        self._by_caller: Counter[object] = Counter()
        self._waiting: list[tuple[int, object, asyncio.Future[None]]] = []

    async def take(self, size: int, caller: object) -> None:
        """Wait until there is room for ``size`` bytes, and take it.

        Raises ProblemError 503 when there is none for too long, or too many wait.
        """
        if not self._waiting and self._has_share(size, caller) and self._has_space(size):
            self.change(size, caller)
            return
        if len(self._waiting) >= self._most_waiting:
            raise _busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waits = (size, caller, turn)
        self._waiting.append(waits)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if waits in self._waiting:
                self._waiting.remove(waits)
                self._serve()
            else:  # its turn came as it went
                self.change(-size, caller)
            if isinstance(error, TimeoutError):
                raise _busy() from None
            raise

    def change(self, by: int, caller: object) -> None:
        """``caller`` holds so many bytes more, or fewer; whoever waits gets what becomes free."""
        self.held += by
        self._by_caller[caller] += by
        if not self._by_caller[caller]:
            del self._by_caller[caller]
        if by < 0:
            self._serve()

    def _has_share(self, size: int, caller: object) -> bool:
        held = self._by_caller.get(caller, 0)
        return held == 0 or held + size <= self.size * 3 // 4

    def _has_space(self, size: int) -> bool:
        return self.held == 0 or self.held + size <= self.size

    def _serve(self) -> None:
        """In the order of coming, past those alone who have their share already."""
        for waits in list(self._waiting):
            size, caller, turn = waits
            if not self._has_share(size, caller):
                continue
            if not self._has_space(size):
                return
            self._waiting.remove(waits)
            self.change(size, caller)
            if not turn.done():
                turn.set_result(None)


class Rooms(NamedTuple):
    """The room that requests work in, and the one of bodies on their way."""

    working: Room
    uploads: Room

    @classmethod
    def usual(cls) -> Rooms:
        """Both as large as an API of 300 MB has them."""
        return cls(Room(_WORKING), Room(_UPLOADS))


def _busy() -> ProblemError:
    return ProblemError(
        503,
        "busy",
        "The memory for large requests is in use; try again.",
        headers={"Retry-After": "2"},
    )
