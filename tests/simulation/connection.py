"""A connection as asyncpg has it, to the Postgres in memory, with what can happen to it on its way.

A fault strikes at a statement: before it arrived, after it was done and before its answer came, or
it arrives only after its client has given up (``late``): then nobody knows what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple, NoReturn, Protocol

import asyncpg

from tests.messages import statements_of
from tests.simulation import messages
from tests.simulation.database import Database, Session
from tests.simulation.loop import of_nobody

#: Seconds after which Postgres ends a session that does nothing in its transaction.
IDLE_LIMIT = 5.0

BEGINS = "BEGIN"
ENDS = {"COMMIT": True, "ROLLBACK": False}


class Fault(NamedTuple):
    """What happens at a statement, and for how many seconds."""

    kind: str
    seconds: float


#: All kinds of a fault at a statement.
FAULTS = (
    "lost_before",  # the connection breaks on the way there
    "lost_after",  # or on the way back
    "late",  # the client hears of a break, and the statement arrives later
    "killed_before",
    "killed_after",
    "killed_late",
    "stopped",  # SIGSTOP of the whole process before it, and SIGCONT
    "deadlock",
    "restarted_before",  # Postgres goes away, and comes back
    "restarted_after",
)


class Client(Protocol):
    """The process that a connection belongs to."""

    def kill(self) -> None: ...

    def freeze(self, seconds: float) -> None: ...


class Wire:
    """What lies between processes and Postgres: delays, and faults by the number of a statement."""

    def __init__(
        self,
        database: Database,
        random: Random,
        handlers: Mapping[str, tuple[str, Callable[..., Any]]],
        faults: Mapping[int, Fault],
    ) -> None:
        self.database = database
        self.random = random
        self.handlers = handlers
        self.faults = faults
        self.statements = 0
        self.struck: list[str] = []
        #: Statements that their clients wait for no longer.
        self.late: set[asyncio.Task[Any]] = set()

    def delay(self) -> float:
        return self.random.choice((0.0001, 0.0003, 0.001, 0.001, 0.003, 0.02))

    async def connect(self, client: Client, application: str) -> Connection:
        await asyncio.sleep(self.delay())
        if self.database.now() < self.database.refuses_until:
            raise ConnectionRefusedError("Postgres is away")
        return Connection(self, client, application)


class Connection:
    """What the product's code uses of ``asyncpg.Connection``."""

    def __init__(self, wire: Wire, client: Client, application: str) -> None:
        self._wire = wire
        self._client = client
        self._session = Session(wire.database, f"nova-stream {application}")
        self._broken = False
        self._names: dict[str, str] = {}

    @property
    def application(self) -> str:
        """Its name in pg_stat_activity."""
        return self._session.application

    # -- what the product calls ------------------------------------------------------------------

    def is_closed(self) -> bool:
        return self._broken

    def terminate(self) -> None:
        self.abandon(0.0)

    def add_query_logger(self, logger: Any) -> None:
        """Nobody is told: in virtual time no statement's length means anything."""

    async def close(self, timeout: float | None = None) -> None:
        del timeout
        self.abandon(0.0)

    async def execute(self, statement: str, *arguments: Any) -> str:
        result = await self._run(statement, arguments)
        return f"DONE {len(result) if isinstance(result, list) else 0}"

    async def fetch(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._run(statement, arguments)
        return found

    async def fetchrow(self, statement: str, *arguments: Any) -> dict[str, Any] | None:
        rows = await self.fetch(statement, *arguments)
        return rows[0] if rows else None

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        row = await self.fetchrow(statement, *arguments)
        return None if row is None else next(iter(row.values()))

    def transaction(self, **_: Any) -> _Transaction:
        return _Transaction(self)

    # -- what can happen -------------------------------------------------------------------------

    def abandon(self, seconds: float) -> None:
        """The client is gone; the server notices after so long."""
        self._broken = True
        if seconds <= 0:
            self._session.end()
        elif not self._session.over:
            asyncio.get_running_loop().call_later(seconds, self._session.end)

    def leave_alone(self) -> None:
        """The client does nothing for longer than a session may in its transaction."""
        if self._session.transaction is not None:
            self._session.end()

    async def _run(self, statement: str, arguments: tuple[Any, ...]) -> Any:
        wire = self._wire
        if self._broken:
            raise asyncpg.InterfaceError("connection is closed")
        number = wire.statements
        wire.statements += 1
        fault = wire.faults.get(number)
        await asyncio.sleep(wire.delay())
        self._refuse_broken()
        if fault is not None:
            wire.struck.append(f"{number}: {fault.kind} at {self._title(statement)}")
            await self._before(fault, statement, arguments)
        result = await self._perform(statement, arguments)
        if fault is not None:
            await self._after(fault)
        await asyncio.sleep(wire.delay())
        self._refuse_broken()
        return result

    async def _before(self, fault: Fault, statement: str, arguments: tuple[Any, ...]) -> None:
        match fault.kind:
            case "lost_before":
                self._lose(fault.seconds)
            case "late" | "killed_late":
                self._send_late(fault, statement, arguments)
                if fault.kind == "killed_late":
                    await self._kill()
                raise asyncpg.ConnectionDoesNotExistError("connection was closed")
            case "killed_before":
                self.abandon(fault.seconds)
                await self._kill()
            case "stopped":
                self._client.freeze(fault.seconds)
                await asyncio.sleep(0)
                self._refuse_broken()
            case "deadlock":
                if self._title(statement) in ENDS:
                    self._session.finish(keep=False)
                elif self._session.transaction is not None:
                    self._session.transaction.failed = True
                raise asyncpg.DeadlockDetectedError("deadlock detected")
            case "restarted_before":
                self._wire.database.refuse(fault.seconds)
                self._refuse_broken()

    async def _after(self, fault: Fault) -> None:
        match fault.kind:
            case "lost_after":
                self._lose(fault.seconds)
            case "killed_after":
                self.abandon(fault.seconds)
                await self._kill()
            case "restarted_after":
                self._wire.database.refuse(fault.seconds)
                self._refuse_broken()

    def _lose(self, seconds: float) -> NoReturn:
        self.abandon(seconds)
        raise asyncpg.ConnectionDoesNotExistError("connection was closed")

    def _refuse_broken(self) -> None:
        if self._session.over:
            self._lose(0.0)

    async def _kill(self) -> None:
        self._client.kill()
        await asyncio.Event().wait()

    def _send_late(self, fault: Fault, statement: str, arguments: tuple[Any, ...]) -> None:
        self._broken = True
        wire = self._wire

        async def arrive() -> None:
            await asyncio.sleep(fault.seconds)
            try:
                if not self._session.over:
                    await self._perform(statement, arguments)
            except asyncpg.PostgresError:
                pass
            finally:
                self._session.end()

        # The server's work: it goes on whatever becomes of the client.
        task = of_nobody(arrive())
        wire.late.add(task)
        task.add_done_callback(wire.late.discard)

    def _title(self, message: str) -> str:
        if messages.prepared(message):
            return "PREPARE"
        return "FINISH" if len(statements_of(message)) > 1 else self._wire.handlers[message][0]

    async def _perform(self, message: str, arguments: tuple[Any, ...]) -> Any:
        if prepared := messages.prepared(message):
            self._names[prepared.name] = prepared.statement
            return []
        if len(statements_of(message)) == 1:
            return await self._perform_one(message, arguments)
        for statement, its in messages.statements(message, self._names):
            await self._perform_one(statement, its)
            # Others have their turns in between, as in Postgres.
            await asyncio.sleep(self._wire.delay())
        return []

    async def _perform_one(self, statement: str, arguments: tuple[Any, ...]) -> Any:
        name, handler = self._wire.handlers[statement]
        if name == BEGINS:
            self._session.begin()
            return []
        if name in ENDS:
            self._session.finish(keep=ENDS[name])
            return []
        return await self._session.perform(handler, arguments)


class _Transaction:
    """What ``read_committed`` uses of asyncpg's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(self) -> None:
        await self._connection.execute(BEGINS)

    async def commit(self) -> None:
        await self._connection.execute("COMMIT")

    async def rollback(self) -> None:
        await self._connection.execute("ROLLBACK")
