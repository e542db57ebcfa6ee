"""Postgres in memory, as far as the product's statements see it.

Transactions are READ COMMITTED: what a statement reads is what was committed when it began, and
what its own transaction wrote; rows that it writes or locks are locked until the transaction ends,
in the statement's order, and read again once they are. Locks of rows are of one kind (FOR SHARE
excludes as FOR UPDATE does); a circle of waits is found at once instead of after a second; there is
no lock_timeout, and of the session's limits only that of an idle transaction.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import asyncpg

Row: TypeAlias = dict[str, Any]
Name: TypeAlias = tuple[str, Hashable]


class Database:
    """What is committed, who holds which lock, and which sessions there are.

    ``committed`` is called after every transaction that wrote something.
    """

    def __init__(self, committed: Callable[[], None]) -> None:
        self.tables: dict[str, dict[Any, Row]] = defaultdict(dict)
        self.holders: dict[Name, Transaction] = {}
        self.waiters: dict[Name, deque[asyncio.Future[None]]] = {}
        self.sessions: list[Session] = []
        self.committed = committed
        self.refuses_until = 0.0
        self.deadlocks = 0
        self._last_id = 0

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def keep(self, table: str, rows: dict[Any, Row | None]) -> None:
        """What a transaction has written to a table is committed."""
        committed = self.tables[table]
        for key, row in rows.items():
            if row is None:
                committed.pop(key, None)
            else:
                committed[key] = row

    def refuse(self, seconds: float) -> None:
        """End all sessions, and let nobody in for a while."""
        self.refuses_until = max(self.refuses_until, self.now() + seconds)
        for session in list(self.sessions):
            session.end()


class Transaction:
    """What one transaction has written and locked."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.over = False
        self.failed = False
        self._written: dict[str, dict[Any, Row | None]] = {}
        self._held: dict[Name, None] = {}
        self._waits_for: Name | None = None

    def get(self, table: str, key: Any) -> Row | None:
        written = self._written.get(table)
        if written is not None and key in written:
            return written[key]
        return self.database.tables[table].get(key)

    def scan(self, table: str) -> dict[Any, Row]:
        """All rows by their key."""
        committed = self.database.tables[table]
        written = self._written.get(table)
        if not written:
            return committed
        return {key: row for key, row in {**committed, **written}.items() if row is not None}

    def put(self, table: str, key: Any, row: Row | None) -> None:
        """Write a row that is locked; None deletes it."""
        assert self.database.holders.get((table, key)) is self, "written without its lock"
        self._written.setdefault(table, {})[key] = row

    async def claim(self, table: str, key: Any) -> bool:
        """Lock the place of a new row; False where there is a row, whoever has locked that."""
        return await self.lock_where(table, key, lambda row: row is None)

    async def lock_where(self, table: str, key: Any, wanted: Callable[[Row | None], bool]) -> bool:
        """Lock a row, or the place of one, that is as wanted; False where it is not, or no longer
        once whoever has locked it has ended.
        """
        while wanted(self.get(table, key)):
            if self._try((table, key)):
                return True
            await self._wait((table, key))
        return False

    async def lock(self, table: str, key: Any) -> Row | None:
        """Lock a row, or the place of one; gives the row as it is then."""
        while not self._try((table, key)):
            await self._wait((table, key))
        return self.get(table, key)

    def _try(self, name: Name) -> bool:
        holder = self.database.holders.setdefault(name, self)
        if holder is self and name not in self._held:
            self._held[name] = None
        return holder is self

    async def _wait(self, name: Name) -> None:
        self._refuse_circle(self.database.holders[name])
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.database.waiters.setdefault(name, deque()).append(future)
        self._waits_for = name
        try:
            await future
        finally:
            self._waits_for = None
        if self.over:
            raise asyncpg.ConnectionDoesNotExistError("the session was ended")

    def _refuse_circle(self, holder: Transaction | None) -> None:
        while holder is not None and holder._waits_for is not None:
            holder = self.database.holders.get(holder._waits_for)
            if holder is self:
                self.database.deadlocks += 1
                raise asyncpg.DeadlockDetectedError("deadlock detected")

    def end(self, *, keep: bool) -> None:
        """Commit, or roll back."""
        if self.over:
            return
        self.over = True
        database = self.database
        if keep:
            for table, rows in self._written.items():
                database.keep(table, rows)
        for name in self._held:
            del database.holders[name]
        for waited in [*self._held, *([self._waits_for] if self._waits_for else [])]:
            for future in database.waiters.pop(waited, ()):
                if not future.done():
                    future.set_result(None)
        if keep and self._written:
            database.committed()


class Session:
    """The server's side of a connection."""

    def __init__(self, database: Database, application: str) -> None:
        self.database = database
        self.application = application
        self.transaction: Transaction | None = None
        self.over = False
        database.sessions.append(self)

    def end(self) -> None:
        """The server ends it, or has noticed that nobody is there any more."""
        if self.over:
            return
        self.over = True
        self.database.sessions.remove(self)
        if self.transaction is not None:
            self.transaction.end(keep=False)

    def begin(self) -> None:
        assert self.transaction is None, "a transaction in a transaction"
        self.transaction = Transaction(self.database)

    def finish(self, *, keep: bool) -> None:
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.end(keep=keep and not transaction.failed)

    async def perform(self, handler: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """One statement, in the transaction at hand or in one of its own."""
        if self.over:  # between two statements of one message
            raise asyncpg.ConnectionDoesNotExistError("the session was ended")
        transaction = self.transaction
        if transaction is None:
            transaction = Transaction(self.database)
            self.transaction = transaction
            try:
                result = await handler(transaction, *arguments)
            except BaseException:
                self.finish(keep=False)
                raise
            if self.over:
                raise asyncpg.ConnectionDoesNotExistError("the session was ended")
            self.finish(keep=True)
            return result
        if transaction.failed:
            raise asyncpg.InFailedSQLTransactionError("the transaction is aborted")
        try:
            return await handler(transaction, *arguments)
        except BaseException:  # also where its client has thought better of it
            transaction.failed = True
            raise
