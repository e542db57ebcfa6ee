"""What one request may cost: declared where its route is, held by one mechanism.

A route says ``within(Budget(...))`` among its dependencies. ``Budgets`` stands around all routes
and holds what was declared: it refuses larger bodies, ends what takes too long, refuses to send
larger answers, and lets only as many requests work at a time as there is room in memory for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import msgspec
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova_stream.api.budget.room import Rooms
from nova_stream.api.problems import ProblemError

KB = 1024
MB = 1024 * KB

#: Bytes of an answer that nobody has to reserve room for.
_SMALL = 256 * KB
#: Bytes of a body that needs no room, however much memory its route declares.
SMALL_BODY = 64 * KB
#: Where a scope has the request's Spending, and the name of who asks.
_SPENDING = "nova_stream.spending"
CALLER = "nova_stream.caller"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a request."""

    #: Bytes of its body, after unpacking; 0 where the route reads none.
    body: int = 0
    #: Values of the JSON in its body, containers included.
    values: int = 0
    #: Rows of its answer; 0 where it has no list.
    rows: int = 0
    #: Bytes of those rows, after which a list stops; a row that is larger comes alone.
    row_bytes: int = 0
    #: Bytes of its answer, before packing.
    answer: int = 64 * KB
    #: Seconds until its answer begins; 0 for one that lasts.
    seconds: float = 20
    #: Bytes of memory that it takes with all of the above at their largest.
    memory: int = 0


#: Of what no route has declared: pages, and paths that lead nowhere.
UNDECLARED = Budget(answer=4 * MB)
#: Seconds for what may wait a minute for one's own writes first.
_WAITING_S = 90.0
#: Answers without a row of a document.
PROBE = Budget()
FIGURES = Budget(seconds=_WAITING_S)
#: One row, which may be as large as a record is.
ROW = Budget(answer=16 * MB, seconds=_WAITING_S, memory=2 * MB)
#: A page of a list, and a list that has pages without being asked for them.
PAGE = Budget(rows=500, row_bytes=2 * MB, answer=16 * MB, seconds=_WAITING_S, memory=12 * MB)
#: A page of what nova-stream itself writes, each row of which is short.
LINES = Budget(rows=500, answer=4 * MB, memory=8 * MB)
TASKS = Budget(rows=2000, row_bytes=4 * MB, answer=16 * MB, seconds=_WAITING_S, memory=24 * MB)
AGENTS = Budget(rows=5000, row_bytes=4 * MB, answer=16 * MB, seconds=_WAITING_S, memory=24 * MB)
#: Plots: a row is a piece of time.
HISTORY = Budget(rows=24_000, answer=8 * MB, seconds=_WAITING_S, memory=32 * MB)
#: Something that is done, with a few options in its body.
ACTION = Budget(body=MB, values=1000, answer=16 * MB, seconds=60, memory=8 * MB)
#: Change events.
EVENTS = Budget(body=10 * MB, values=200_000, seconds=120, memory=96 * MB)
#: A call of a function of the main app, of which each declares its own answer.
CALL = Budget(body=4 * MB, values=50_000, answer=64 * KB, seconds=60, memory=48 * MB)
#: What a query of the main app gives: documents, each of which is in the answer twice.
DOCUMENTS = Budget(
    body=4 * MB, values=50_000, rows=16_384, row_bytes=4 * MB, answer=32 * MB, memory=48 * MB
)
#: The figures of all agents as one of them gives them.
FIGURES_OF_ALL = Budget(
    body=4 * MB, values=50_000, rows=5000, row_bytes=4 * MB, answer=32 * MB, memory=48 * MB
)
#: Changes, as long as somebody listens.
STREAM = Budget(seconds=0)


def within(budget: Budget) -> Any:
    """A route's dependency: its requests may cost ``budget``."""

    async def begin(request: Request) -> None:
        spending_of(request.scope).begin(budget)

    begin.budget = budget  # type: ignore[attr-defined]
    return Depends(begin)


def budget_of(route: APIRoute) -> Budget | None:
    """What a route declares; of several the last, which is the route's own."""
    found = [getattr(dependency.dependency, "budget", None) for dependency in route.dependencies]
    return next((budget for budget in reversed(found) if budget is not None), None)


def budgets_of(routes: Iterable[Any]) -> dict[str, Budget]:
    """The budgets of all routes as ``METHOD /path``; KeyError for a route without one."""
    found = {}
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        budget = budget_of(route)
        for method in route.methods or ():
            name = f"{method} {route.path.replace(':path}', '}')}"
            if budget is None:
                raise KeyError(name)
            found[name] = budget
    return found


class Spending:
    """What one request costs, against its budget."""

    def __init__(
        self, rooms: Rooms, caller: object, deadline: asyncio.Timeout | None = None
    ) -> None:
        self.budget = UNDECLARED
        self._room, self._uploads = rooms
        self._caller = caller
        self._deadline = deadline
        self._held = self._coming = 0
        self._over = False

    def begin(self, budget: Budget) -> None:
        """The route is known, and what its requests may cost."""
        self.budget = budget
        if budget.seconds and self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + budget.seconds)

    async def reserve(self) -> None:
        """Wait for room for all that is declared, once a request.

        Raises ProblemError 503 when there is none for too long.
        """
        wanted = self.budget.memory
        if wanted > self._held == 0 and not self._over:
            await self._room.take(wanted, self._caller)
            self._held = wanted

    async def upload(self, size: int) -> None:
        """Wait for room for a body of ``size`` bytes on its way; raises ProblemError 503."""
        await self._uploads.take(size, self._caller)
        self._coming = size

    def hold(self, size: int) -> None:
        """From here on ``size`` bytes are held, no more and no less."""
        if not self._over:
            self._room.change(size - self._held, self._caller)
            self._held = size

    def shrink(self, size: int) -> None:
        """From here on no more than ``size`` bytes are held."""
        self.hold(min(self._held, size))

    def answering(self) -> None:
        """The answer begins: from here on the server sees to it that the client takes it."""
        if self._deadline is not None:
            self._deadline.reschedule(None)

    def end(self) -> None:
        """The request is over."""
        self.hold(0)
        self._over = True
        self._uploads.change(-self._coming, self._caller)
        self._coming = 0


_current: ContextVar[Spending | None] = ContextVar("spending", default=None)


def spending_of(scope: MutableMapping[str, Any]) -> Spending:
    """The spending of a request."""
    return cast("Spending", scope[_SPENDING])


async def reserve_to_read() -> None:
    """Wait for room for the rows that the present request declares; nothing outside of a request.
    Where no rows are declared beside a body, all that is declared is the body's.
    """
    spending = _current.get()
    if spending is not None and (spending.budget.row_bytes or not spending.budget.body):
        await spending.reserve()


def present_budget() -> Budget:
    """What the present request declares."""
    spending = _current.get()
    return UNDECLARED if spending is None else spending.budget


@contextmanager
def shared(rooms: Rooms, budget: Budget) -> Iterator[None]:
    """Work for several requests at once: it costs ``budget``, and none of theirs."""
    spending = Spending(rooms, object())
    spending.begin(budget)
    reset = _current.set(spending)
    try:
        yield
    finally:
        _current.reset(reset)
        spending.end()


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
        spending = Spending(self._rooms, scope.get(CALLER, ""), deadline)
        scope[_SPENDING] = spending
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
    """A request's body, as far as its budget goes."""

    def __init__(self, spending: Spending, headers: Headers, receive: Receive) -> None:
        self._spending = spending
        self._receive = receive
        self._length = headers.get("content-length", "")
        self._received = 0
        self._begun = False

    async def receive(self) -> Message:
        budget = self._spending.budget
        if budget.body and not self._begun:
            self._begun = True
            await self._begin(budget)
        message = await self._receive()
        if budget.body:
            self._received += len(message.get("body", b""))
            if self._received > budget.body:
                raise too_large(budget.body)
        return message

    async def _begin(self, budget: Budget) -> None:
        length = budget.body
        if self._length.isascii() and self._length.isdigit():
            length = int(self._length)
            if length > budget.body:
                raise too_large(budget.body)
        if length > SMALL_BODY:
            await self._spending.upload(length)


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
                self._spending.hold(size if size > _SMALL else 0)
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        await self._send(message)


def too_large(limit: int) -> ProblemError:
    """The body is larger than its route takes."""
    return ProblemError(
        413,
        "too-large",
        f"The body has more than {limit >> 20} MB; send it in several requests.",
        headers={"Connection": "close"},
    )


def too_many_values(limit: int) -> ProblemError:
    """The body has more JSON values than its route takes."""
    return ProblemError(
        413,
        "too-many-values",
        f"The body has more than {limit:,} JSON values; send it in several requests.",
    )


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
