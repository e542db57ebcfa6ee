"""Reads that many ask for at the same time: one query serves all who asked before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nova_stream.api.budget.budget import Budget, present_budget, shared
from nova_stream.api.budget.room import Rooms
from nova_stream.api.database import Database
from nova_stream.storage.database import Connection

Read = Callable[[Connection], Awaitable[Any]]


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
        self._begun: dict[Read, asyncio.Task[TaggedAnswer]] = {}
        self._next: dict[Read, asyncio.Task[TaggedAnswer]] = {}

    async def get(self, read: Read) -> TaggedAnswer:
        """What ``read`` gives, which is the same for everybody, within the budget of who asks
        first.
        """
        task = self._next.get(read)
        if task is None:
            task = asyncio.create_task(self._within(present_budget(), read))
            task.add_done_callback(_seen)
            self._next[read] = task
        return await asyncio.shield(task)

    async def _within(self, budget: Budget, read: Read) -> TaggedAnswer:
        with shared(self._rooms, budget):
            return await self._run(read, self._begun.get(read))

    async def _run(self, read: Read, before: asyncio.Task[TaggedAnswer] | None) -> TaggedAnswer:
        task = self._next[read]
        try:
            if before is not None:
                await asyncio.wait({before})
            async with self._database.connection() as connection:
                self._begin(read, task)
                found = await read(connection)
        finally:
            self._begin(read, task)
            if self._begun.get(read) is task:
                del self._begun[read]
        body = msgspec.json.encode(found)
        return TaggedAnswer(body, f'W/"{blake2b(body, digest_size=9).hexdigest()}"')

    def _begin(self, read: Read, task: asyncio.Task[TaggedAnswer]) -> None:
        """From here on, who asks gets another query."""
        if self._next.get(read) is task:
            self._begun[read] = self._next.pop(read)


def _seen(task: asyncio.Task[TaggedAnswer]) -> None:
    if not task.cancelled():
        task.exception()  # those who asked may all be gone


def _names(header: str, etag: str) -> bool:
    given = {part.strip().removeprefix("W/") for part in header.split(",")}
    return etag.removeprefix("W/") in given or "*" in given
