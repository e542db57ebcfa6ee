"""What requests cost, against their budgets: the mechanism that stands around all routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova_stream.api.budget.budget import (
    CALLER,
    CUT,
    KB,
    SMALL_BODY,
    SPENDING,
    UNDECLARED,
    Budget,
    too_large,
)
from nova_stream.api.budget.room import Rooms
from nova_stream.api.problems import ProblemError

#: Bytes of an answer that nobody has to reserve room for.
_SMALL = 256 * KB
#: Bytes by which the room of a body grows as they come.
_STEP = 256 * KB
#: Seconds for an answer that takes room, and bytes a second beside them.
_ANSWER_S, _ANSWER_RATE = 15.0, 512 * KB


class Spending:
    """What one request costs, against its budget; ``cut`` ends its connection, for a reason."""

    def __init__(
        self,
        rooms: Rooms,
        caller: object,
        deadline: asyncio.Timeout | None = None,
        cut: Callable[[str], None] | None = None,
    ) -> None:
        self.budget = UNDECLARED
        self.caller = caller
        self._working, self._uploads, self._connections = (room.holding(caller) for room in rooms)
        self._deadline = deadline
        self._cut = cut
        self._unread: asyncio.TimerHandle | None = None
        self._over = False

    def begin(self, budget: Budget) -> None:
        """The route is known, and what its requests may cost."""
        self.budget = budget
        if budget.seconds and self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + budget.seconds)

    def join(self, caller: object) -> None:
        """``caller`` waits for this work, too: any of those who share it may have the room."""
        self._working.join(caller)
        self._connections.join(caller)

    async def reserve(self) -> None:
        """Wait for room for all that is declared, once a request.

        Raises TryAgainError when there is none for too long.
        """
        if self.budget.memory and not self._working.held and not self._over:
            await self._working.grow(self.budget.memory)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """A connection's turn, and room for the rows that are declared; raises as ``reserve``.
        Where no rows are declared beside a body, all that is declared is the body's.
        """
        if self.budget.row_bytes or not self.budget.body:
            await self.reserve()
        await self._connections.grow(1)
        try:
            yield
        finally:
            self._connections.keep(0)

    async def upload(self, size: int, whole: int, *, more: bool) -> None:
        """Wait for room for the ``size`` bytes of a body that have come, of as many as ``whole``;
        raises TryAgainError. Where ``more`` is to come and does not, it is cut off when others
        wait.
        """
        if self._cut is not None:
            self._uploads.on_press = partial(self._cut, "slow body") if more else None
        if size > SMALL_BODY:
            await self._uploads.grow(min(-(-size // _STEP) * _STEP, whole), whole)

    def shrink(self, size: int) -> None:
        """From here on no more than ``size`` bytes are held."""
        if not self._over:
            self._working.keep(min(self._working.held, size))

    def answering(self) -> None:
        """The answer begins: from here on the server sees to it that the client takes it."""
        if self._deadline is not None:
            self._deadline.reschedule(None)

    def answer(self, size: int) -> None:
        """So many bytes are on their way: from here on they are what is held. A client that takes
        its time is cut off, when others wait for the room soon.
        """
        # Pages are the same bytes for all who read them.
        if self._over or self.budget is UNDECLARED:
            return
        self._working.keep(size if size > _SMALL else 0)
        self._stop()
        if size > _SMALL and self._cut is not None:
            self._working.on_press = cut = partial(self._cut, "not read")
            limit = _ANSWER_S + size / _ANSWER_RATE
            self._unread = asyncio.get_running_loop().call_later(limit, cut)

    def end(self) -> None:
        """The request is over."""
        self._over = True
        self._stop()
        for holding in (self._working, self._uploads, self._connections):
            holding.keep(0)

    def _stop(self) -> None:
        if self._unread is not None:
            self._unread.cancel()


_current: ContextVar[Spending | None] = ContextVar("spending", default=None)


def spending_of(scope: MutableMapping[str, Any]) -> Spending:
    """The spending of a request."""
    return cast("Spending", scope[SPENDING])


def room_to_read() -> AbstractAsyncContextManager[None]:
    """Room for what the present request reads; nothing outside of a request."""
    spending = _current.get()
    return nullcontext() if spending is None else spending.reading()


def shared_spending(rooms: Rooms) -> Spending:
    """What work for several requests costs: as much as the present one declares, charged to its
    caller, or to another one who joins and has room for it first.
    """
    present = _current.get()
    spending = Spending(rooms, "" if present is None else present.caller)
    spending.begin(UNDECLARED if present is None else present.budget)
    return spending


@contextmanager
def working_for(spending: Spending) -> Iterator[None]:
    """Work that costs ``spending``, which ends with it, and nothing of the present request's."""
    reset = _current.set(spending)
    try:
        yield
    finally:
        _current.reset(reset)
        spending.end()


def present_caller() -> object:
    """Who asks for what the present request does."""
    spending = _current.get()
    return "" if spending is None else spending.caller


class Budgets:
    """Holds every request to what its route declares."""

    def __init__(self, app: ASGIApp, rooms: Rooms) -> None:
        self._app = app
        self._rooms = rooms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.timeout(None)
        spending = Spending(self._rooms, scope.get(CALLER, ""), deadline, scope.get(CUT))
        scope[SPENDING] = spending
        reset = _current.set(spending)
        try:
            async with deadline:
                await self._app(
                    scope,
                    _Body(spending, Headers(scope=scope), receive).receive,
                    _Answer(spending, send).send,
                )
        except TimeoutError:
            if deadline.expired():
                raise _too_long(spending.budget) from None
            raise
        finally:
            _current.reset(reset)
            spending.end()


class _Body:
    """A request's body, as far as its budget goes; the room that it takes grows as it comes."""

    def __init__(self, spending: Spending, headers: Headers, receive: Receive) -> None:
        self._spending = spending
        self._receive = receive
        length = headers.get("content-length", "")
        self._length = int(length) if length.isascii() and length.isdigit() else None
        self._received = 0

    async def receive(self) -> Message:
        budget = self._spending.budget
        whole = budget.body if self._length is None else self._length
        if budget.body and whole > budget.body:
            raise too_large(budget.body)
        message = await self._receive()
        if budget.body:
            self._received += len(message.get("body", b""))
            if self._received > budget.body:
                raise too_large(budget.body)
            more = message.get("more_body", False)
            await self._spending.upload(self._received, whole, more=more)
        return message


class _Answer:
    """A request's answer, as far as its budget goes."""

    def __init__(self, spending: Spending, send: Send) -> None:
        self._spending = spending
        self._send = send
        self._start: Message | None = None
        self._sent = 0

    async def send(self, message: Message) -> None:
        """Hold the beginning back until the first piece is there: what is too large is refused."""
        if message["type"] == "http.response.start":
            self._spending.answering()
            self._start = message
            return
        if message["type"] == "http.response.body":
            size = len(message.get("body", b""))
            lasts = not self._spending.budget.seconds
            self._sent += size
            if self._sent > self._spending.budget.answer and not lasts:
                raise _too_much(self._spending.budget)
            if not lasts:
                self._spending.answer(size)
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        await self._send(message)


def _too_long(budget: Budget) -> ProblemError:
    return ProblemError(
        503,
        "took-too-long",
        f"No answer within {budget.seconds:g} s; ask for less, or try again.",
        headers={"Retry-After": "5"},
    )


def _too_much(budget: Budget) -> ProblemError:
    return ProblemError(
        422,
        "answer-too-large",
        f"The answer has more than {budget.answer >> 20} MB; ask for less of it.",
    )
