"""A way to Postgres that can be made to stand still, to refuse and to break, at any message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from pydantic import SecretStr

from nova_stream.settings import Settings


class Stall:
    """A relay to a server: while it is held, nothing comes through, new connections included; while
    it refuses, connections are closed at once.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._goes = asyncio.Event()
        self._goes.set()
        self._refuses = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._breaks: tuple[int, Callable[[], None]] | None = None
        #: Messages of clients that have come by.
        self.messages = 0

    def refuse(self) -> None:
        """Cut all connections, and take none."""
        self._refuses = True
        self._goes.set()
        for writer in self._writers:
            writer.close()

    def break_at(self, message: int, how: Callable[[], None]) -> None:
        """Call ``how`` when so many messages of clients have come from now on, before the last."""
        self.messages = 0
        self._breaks = message, how

    @property
    def broken(self) -> bool:
        """Whether the message came at which it was to break."""
        return self._breaks is None

    def hold(self) -> None:
        self._goes.clear()

    def release(self) -> None:
        self._refuses = False
        self._breaks = None
        self._goes.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._keep(asyncio.current_task())
        await self._goes.wait()
        if self._refuses:
            writer.close()
            return
        other_reader, other_writer = await asyncio.open_connection(*self._target)
        self._writers.add(other_writer)
        for one, other in ((reader, other_writer), (other_reader, writer)):
            self._keep(asyncio.create_task(self._pass_on(one, other, counts=one is reader)))

    def _keep(self, task: asyncio.Task[None] | None) -> None:
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if counts:
                    self._count()
                await self._goes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def _count(self) -> None:
        self.messages += 1
        if self._breaks is not None and self.messages >= self._breaks[0]:
            _, how = self._breaks
            self._breaks = None
            how()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        closed = (writer.wait_closed() for writer in self._writers)
        await asyncio.gather(*closed, return_exceptions=True)


@asynccontextmanager
async def stalling(settings: Settings) -> AsyncIterator[tuple[Settings, Stall]]:
    """These settings with a database that is reached over the relay, and the relay."""
    url = settings.database_url.get_secret_value()
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    stall = Stall(parts.hostname, parts.port)
    server = await asyncio.start_server(stall.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = parts.netloc.rpartition("@")[0]
    relayed = url.replace(parts.netloc, f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}")
    try:
        yield settings.model_copy(update={"database_url": SecretStr(relayed)}), stall
    finally:
        stall.release()
        server.close()
        await stall.close()
