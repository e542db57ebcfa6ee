"""A process that can be killed, and what stands in the place of metrics and logs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.connection import IDLE_LIMIT, Connection, Wire
from tests.simulation.loop import OWNER, Tasks

#: What time it is when a history begins.
STARTED = datetime(2026, 2, 20, 12, tzinfo=UTC)


class Nothing:
    """In the place of metrics and logs."""

    def __getattr__(self, _: str) -> Any:
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self


NOTHING: Any = Nothing()


class Errors(Nothing):
    """A log of which only that is heard which tells of a fault of ours."""

    def error(self, event: str, **given: Any) -> None:
        owner = OWNER.get()
        if "exc_info" in given and isinstance(owner, Process) and owner.alive:
            owner.faults.append(f"{event}: {given['exc_info']!r}")


class Process(Tasks):
    """What can be killed: its tasks end where they are, and nothing of it reaches anybody."""

    def __init__(self, wire: Wire, name: str) -> None:
        super().__init__()
        self.name = name
        self.alive = True
        self.ahead = 0.0
        self.faults: list[str] = []
        #: Called when it was killed, with the seconds until it is to be started again.
        self.died: Callable[[float], None] | None = None
        self.random = wire.random
        self._wire = wire
        self._connections: list[Connection] = []

    def clock(self) -> datetime:
        """The process's own clock, which may be wrong."""
        return STARTED + timedelta(seconds=asyncio.get_running_loop().time() + self.ahead)

    def start(self, work: Any) -> None:
        token = OWNER.set(self)
        asyncio.get_running_loop().create_task(work).add_done_callback(self._ended)
        OWNER.reset(token)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self.alive and not task.cancelled() and task.exception() is not None:
            self.faults.append(f"{self.name} ended: {task.exception()!r}")

    async def connect(self, application: str) -> Connection:
        if not self.alive:
            raise ConnectionRefusedError("this process is dead")
        connection = await self._wire.connect(self, application)
        self._connections.append(connection)
        return connection

    def freeze(self, seconds: float) -> None:
        """As by SIGSTOP, and after a while by SIGCONT."""
        token = OWNER.set(None)
        loop = asyncio.get_running_loop()
        self.frozen = True
        loop.call_later(seconds, setattr, self, "frozen", False)
        if seconds > IDLE_LIMIT:
            for connection in self._connections:
                loop.call_later(IDLE_LIMIT, connection.leave_alone)
        OWNER.reset(token)

    def kill(self, down: float = 0.5) -> None:
        """As by SIGKILL. What it had asked of Postgres is noticed there soon."""
        if not self.alive:
            return
        self.alive = False
        self.frozen = False
        if self.died is not None:
            self.died(down)
        for connection in self._connections:
            if not connection.is_closed():
                connection.abandon(self.random.choice((0.0, 0.0, 0.01, 2.0)))
        self.cancel()


async def connect(settings: Any, application: str, **_: Any) -> Connection:
    """In the place of ``storage.database.connect``: the settings name the process."""
    found: Connection = await settings.process.connect(application)
    return found
