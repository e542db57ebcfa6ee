"""Something that is opened at its first use and kept: a pool, a producer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds for which a failure is repeated to others, so that a crowd of requests does not queue
#: up for one attempt each.
_PAUSE_S = 1.0


class Lazy(Generic[T]):
    """Opens what ``open_`` gives once; a failure is told to everybody who asks for a second, then
    it is tried again.
    """

    def __init__(
        self, open_: Callable[[], Awaitable[T]], close: Callable[[T], Awaitable[None]]
    ) -> None:
        self._open = open_
        self._close = close
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._failure: Exception | None = None
        self._failed_at = 0.0

    async def get(self) -> T:
        """The value, opened if need be; raises what opening raises."""
        value = self._value
        if value is None:
            async with self._lock:
                value = self._value = self._value or await self._try()
        return value

    async def _try(self) -> T:
        if self._failure is not None and time.monotonic() - self._failed_at < _PAUSE_S:
            raise self._failure
        try:
            value = await self._open()
        except Exception as error:
            self._failure, self._failed_at = error, time.monotonic()
            raise
        self._failure = None
        return value

    async def close(self) -> None:
        """Close the value if there is one; another ``get`` opens it again."""
        async with self._lock:
            value, self._value = self._value, None
            if value is not None:
                await self._close(value)
