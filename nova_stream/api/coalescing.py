"""Reads that many ask for at the same time: one query serves all who asked before it began, or
within the second after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from hashlib import blake2b
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nova_stream.api.budget.room import Rooms
from nova_stream.api.budget.spending import Spending, present_caller, shared_spending, working_for
from nova_stream.api.database import Database

T = TypeVar("T")
Read = Callable[..., Awaitable[Any]]

#: Seconds for which an answer is told to others.
_KEEP_S = 1.0


class _Question(NamedTuple):
    """A read with its arguments: equal ones share an answer."""

    read: Read
    args: tuple[Hashable, ...]
    named: tuple[tuple[str, Hashable], ...]


class TaggedAnswer(NamedTuple):
    """An answer's JSON, and its name for those who ask whether it is still the same."""

    body: bytes
    etag: str

    def answer(self, request: Request) -> Response:
        """200, or 304 for who has it already. Whoever keeps it asks again before showing it."""
        headers = {
            "ETag": self.etag,
            "Cache-Control": "private, no-cache",
            "Vary": "Authorization",
        }
        if _names(request.headers.get("if-none-match", ""), self.etag):
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type="application/json", headers=headers)


class SingleFlight:
    """Nobody is answered with what was read before the question came, so that sharing is never
    seen.
    """

    def __init__(self, database: Database, rooms: Rooms) -> None:
        self._database = database
        self._rooms = rooms
        self._begun: dict[_Question, asyncio.Task[TaggedAnswer]] = {}
        self._next: dict[_Question, asyncio.Task[TaggedAnswer]] = {}
        self._costs: dict[_Question, Spending] = {}

    async def get(self, read: Read, *args: Hashable, **named: Hashable) -> TaggedAnswer:
        """What ``read`` gives of a connection and these arguments, which is the same for everybody,
        within the budget of who asks first. It waits for room as long as none of those who ask has
        any.
        """
        question = _Question(read, args, tuple(named.items()))
        task = self._next.get(question)
        if task is None:
            cost = self._costs[question] = shared_spending(self._rooms)
            task = asyncio.create_task(self._within(cost, question))
            task.add_done_callback(_seen)
            self._next[question] = task
        else:
            self._costs[question].join(present_caller())
        return await asyncio.shield(task)

    async def _within(self, cost: Spending, question: _Question) -> TaggedAnswer:
        with working_for(cost):
            return await self._run(question, self._begun.get(question))

    async def _run(
        self, question: _Question, before: asyncio.Task[TaggedAnswer] | None
    ) -> TaggedAnswer:
        task = self._next[question]
        try:
            if before is not None:
                await asyncio.wait({before})
            async with self._database.connection() as connection:
                self._begin(question, task)
                found = await question.read(connection, *question.args, **dict(question.named))
        finally:
            self._begin(question, task)
            if self._begun.get(question) is task:
                del self._begun[question]
        body = msgspec.json.encode(found)
        return TaggedAnswer(body, f'W/"{blake2b(body, digest_size=9).hexdigest()}"')

    def _begin(self, question: _Question, task: asyncio.Task[TaggedAnswer]) -> None:
        """From here on, who asks gets another query."""
        if self._next.get(question) is task:
            self._begun[question] = self._next.pop(question)
            del self._costs[question]


class KeptAnswer(Generic[T]):
    """What ``ask`` gives, asked once for all who want it until a second after it ended; a failure
    is kept as long. ``close`` it.
    """

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._ask = ask
        self._asked: asyncio.Task[T] | None = None
        self._ended_at = float("-inf")

    async def get(self) -> T:
        """The answer; raises what asking raised."""
        asked = self._asked
        if asked is None or (asked.done() and time.monotonic() - self._ended_at > _KEEP_S):
            asked = self._asked = asyncio.create_task(self._ask())
            asked.add_done_callback(self._ended)
        return await asyncio.shield(asked)

    async def close(self) -> None:
        """Ask no more."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.gather(self._asked, return_exceptions=True)

    def _ended(self, asked: asyncio.Task[T]) -> None:
        self._ended_at = time.monotonic()
        _seen(asked)


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # those who asked may all be gone


def _names(header: str, etag: str) -> bool:
    given = {part.strip().removeprefix("W/") for part in header.split(",")}
    return etag.removeprefix("W/") in given or "*" in given
