"""Whether Postgres answers at the moment: asked by one task, known to everybody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.faults import DATABASE_ERRORS, PostgresState, state_of

#: Seconds between two questions, and for an answer.
_EVERY_S = 0.5
_LIMIT_S = 2.0
#: Seconds for the last question, and for a farewell.
_FAREWELL_S = 0.5
#: Seconds of one look at the clock: while our own event loop stands, Postgres is not late.
_TICK_S = 0.1


class PostgresWatch:
    """Asks Postgres twice a second, on a connection of its own, from ``start`` to ``close``.

    Whoever waits for Postgres learns here, after two seconds and not at the end of its own limit,
    that it does not answer. Before ``start`` it is taken to be up.
    """

    def __init__(self, settings: Settings) -> None:
        self.state: PostgresState = "up"
        self._settings = settings
        self._connection: Connection | None = None
        self._waiting: set[asyncio.Timeout] = set()
        self._task: asyncio.Task[None] | None = None
        self._ends = asyncio.Event()

    def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop asking."""
        self._ends.set()
        if self._task is not None:
            # A connection that is just being opened would be left behind.
            await asyncio.wait({self._task}, timeout=_FAREWELL_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            with contextlib.suppress(*DATABASE_ERRORS):
                await self._connection.close(timeout=_FAREWELL_S)
        self._drop()

    def require_answers(self) -> None:
        """Raise TimeoutError while Postgres does not answer."""
        if self.state == "silent":
            raise TimeoutError

    @asynccontextmanager
    async def while_it_answers(self) -> AsyncIterator[None]:
        """The block ends with TimeoutError as soon as Postgres does not answer."""
        self.require_answers()
        async with asyncio.timeout(None) as limit:
            self._waiting.add(limit)
            try:
                yield
            finally:
                self._waiting.discard(limit)

    async def _run(self) -> None:
        while not self._ends.is_set():
            self.state = await self._look()
            if self.state == "silent":
                waiting, self._waiting = self._waiting, set()
                for limit in waiting:
                    limit.reschedule(asyncio.get_running_loop().time())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), _EVERY_S)

    async def _look(self) -> PostgresState:
        question = asyncio.create_task(self._ask())
        try:
            for _ in range(round(_LIMIT_S / _TICK_S)):
                if question.done():
                    break
                await asyncio.wait({question}, timeout=_TICK_S)
        finally:
            question.cancel()
            await asyncio.gather(question, return_exceptions=True)
        if question.cancelled():
            self._drop()
            return "silent"
        return question.result()

    async def _ask(self) -> PostgresState:
        try:
            if self._connection is None:
                self._connection = await connect(self._settings, "api watch")
            await self._connection.execute("SELECT 1")
        except Exception as error:  # whatever it is, the next question comes
            self._drop()
            return state_of(error)
        return "up"

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
