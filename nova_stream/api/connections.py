"""The server's connections: how many there may be, and how long each may take.

Everything here hangs on the places where uvicorn's protocol tells what happens to a connection;
it reads and writes no HTTP of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from nova_stream.api.answer_headers import AnswerHeaders
from nova_stream.api.budget.budget import CUT
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.problems import ProblemError, problem_response

#: Seconds that a request's headers may take, its body after them, and a client until it takes more
#: of an answer.
HEADERS, BODY, UNREAD = 10.0, 60.0, 30.0
#: Connections that are kept for probes when all others are taken.
PROBES = 32
_PROBED = ("/health/", "/metrics")

#: What a connection is doing: nothing since its last answer, sending headers, sending a body, or
#: waiting for its answer.
_Phase = Literal["idle", "headers", "body", "answer"]
_LIMITS: dict[_Phase, float] = {"headers": HEADERS, "body": BODY, "idle": UNREAD}


class Connections:
    """All connections of one server, at most ``most`` and of one address three in four of them.

    Whoever comes when there is no place takes that of the one who has asked for nothing the
    longest; where all are at work, only probes are answered, on a few places of their own.
    """

    def __init__(self, most: int, metrics: ApiMetrics, proxies: Sequence[str] = ()) -> None:
        self.most = most
        #: Addresses behind which many clients are: no share is too large for one of them.
        self._proxies = [ip_network(proxy) for proxy in proxies]
        self.most_of_one = max(1, most * 3 // 4)
        self._metrics = metrics
        self._open: Counter[str] = Counter()
        self._number = 0
        self._idle: dict[str, dict[_Connection, None]] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """The protocol that a server is to speak with every connection."""
        return type("GuardedProtocol", (_Connection,), {"guard": self})

    def enter(self, connection: _Connection) -> bool:
        """Count a new connection; whether it may ask for anything."""
        address = connection.address
        self._number += 1
        self._open[address] += 1
        self._metrics.connections.set(self._number)
        self.rest(connection)
        if self._open[address] > self.most_of_one and not self._is_proxy(address):
            return self._make_place(connection, [address])
        return self._number <= self.most or self._make_place(connection, list(self._idle))

    def leave(self, connection: _Connection) -> None:
        """Forget a connection."""
        address = connection.address
        self._number -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]
        self.work(connection)
        self._metrics.connections.set(self._number)

    def rest(self, connection: _Connection) -> None:
        """A connection has no request under way."""
        self._idle.setdefault(connection.address, {})[connection] = None

    def work(self, connection: _Connection) -> None:
        """A connection has a request under way, or is gone."""
        idle = self._idle.get(connection.address, {})
        idle.pop(connection, None)
        if not idle:
            self._idle.pop(connection.address, None)

    def closed(self, reason: str) -> None:
        """Count a connection that the server ended."""
        self._metrics.closed.labels(reason).inc()

    def full(self) -> bool:
        """Whether there are more connections than even probes have places for."""
        return self._number > self.most + PROBES

    def _is_proxy(self, address: str) -> bool:
        if not self._proxies:
            return False
        found = ip_address(address.partition("%")[0])
        return any(found in network for network in self._proxies)

    def _make_place(self, newcomer: _Connection, addresses: list[str]) -> bool:
        """End the connection that rests the longest; of the address that has the most of them."""
        idle = max((self._idle[a] for a in addresses if a in self._idle), key=len, default={})
        oldest = next((found for found in idle if found is not newcomer), None)
        if oldest is None:
            return False
        oldest.cut("no place")
        return True


class _Connection(H11Protocol):
    """A connection that is counted, and has deadlines."""

    guard: Connections
    address = ""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._phase: _Phase = "headers"
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._counted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._counted = True
        self.app = partial(_with_an_end, self.app, self.cut)
        if not self.guard.enter(self):
            if self.guard.full():
                self.cut("too many")
                return
            self.app = AnswerHeaders(_ProbesOnly(self.app))
        self._begin("headers")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        if self._counted:
            self._counted = False
            self.guard.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._phase == "idle":
            self._begin("headers")
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._begin("idle")
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD, self.cut, "not read")

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def cut(self, reason: str) -> None:
        """End the connection at once."""
        self.guard.closed(reason)
        self._stop()
        if self._counted:
            self._counted = False
            self.guard.leave(self)
        self.transport.abort()

    def _look(self) -> None:
        """Which phase the parser has come to."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        phase: _Phase = "body" if cycle.more_body else "answer"
        if phase != self._phase:
            self._begin(phase)

    def _begin(self, phase: _Phase) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._phase = phase
        if not self._counted:
            return
        if phase in ("idle", "headers"):
            self.guard.rest(self)
        else:
            self.guard.work(self)
        if phase in _LIMITS:
            # What is idle for that long has an answer that nobody reads: it cannot be closed.
            reason = "not read" if phase == "idle" else f"slow {phase}"
            self._deadline = self.loop.call_later(_LIMITS[phase], self.cut, reason)

    def _stop(self) -> None:
        for timer in (self._deadline, self._unread):
            if timer is not None:
                timer.cancel()
        self._deadline = self._unread = None


async def _with_an_end(
    app: ASGIApp, cut: Callable[[str], None], scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve a request that may end its connection."""
    scope[CUT] = cut
    await app(scope, receive, send)


class _ProbesOnly:
    """What those are answered who came when all connections were taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_PROBED):
            await self._app(scope, receive, send)
            return
        error = ProblemError(
            503,
            "too-many-connections",
            "The server's limit of open connections is reached; try again later.",
            headers={"Retry-After": "5", "Connection": "close"},
        )
        await problem_response(error)(scope, receive, send)
