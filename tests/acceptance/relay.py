"""A TCP relay whose network can be made bad."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self

from nova_stream.local.ports import HOST, free_port


class Relay:
    """Relays ``port`` to ``to``, in a thread of its own, while it is entered.

    ``set_delay`` says how many seconds late every piece is in each direction, and new connections
    too, from now on. None: all is taken and nothing passes, as behind a network that is gone.
    """

    def __init__(self, to: int) -> None:
        self.port = free_port(exclude=frozenset({to}))
        self._delay = 0.0
        self._passable = asyncio.Event()
        self._passable.set()
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set_delay(self, seconds: float | None) -> None:
        self._delay = seconds or 0.0
        change = self._passable.clear if seconds is None else self._passable.set
        self._loop.call_soon_threadsafe(change)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            await self._late()
            inner_reader, inner_writer = await asyncio.open_connection(HOST, self._to)
            with contextlib.closing(inner_writer):
                ways = [self._pass(reader, inner_writer), self._pass(inner_reader, writer)]
                await _first_of([asyncio.create_task(way) for way in ways])

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            await self._late()
            writer.write(piece)
            await writer.drain()

    async def _late(self) -> None:
        await self._passable.wait()
        await asyncio.sleep(self._delay)


async def _first_of(tasks: list[asyncio.Task[None]]) -> None:
    """Return when one has ended; the others are cancelled."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
