"""Budgets: every route has one, the page tells them, and the mechanism holds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import ASGIApp, Message

from nova_stream.api.app import ROUTES
from nova_stream.api.budget import room
from nova_stream.api.budget import spending as mechanism
from nova_stream.api.budget.budget import CALLER, CUT, MB, Budget, within
from nova_stream.api.budget.request_body import read_json
from nova_stream.api.budget.room import Room, Rooms
from nova_stream.api.budget.spending import (
    Budgets,
    Spending,
    room_to_read,
    shared_spending,
    working_for,
)
from nova_stream.api.convex.backend import FUNCTIONS
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.middleware import RequestMiddleware
from tools.limits_page import PAGE, budgets_of, page

SMALL = Budget(body=MB, values=100, answer=1000, seconds=0.2, memory=60)


def test_every_route_declares_a_budget() -> None:
    budgets = budgets_of(route for module in ROUTES for route in module.router.routes)
    assert len(budgets) > 30
    for name, budget in [*budgets.items(), *((f.path, f.within) for f in FUNCTIONS.values())]:
        assert bool(budget.body) == bool(budget.values), name
        assert bool(budget.rows) >= bool(budget.row_bytes), name
        assert budget.memory or (budget.answer <= 4 * MB and not budget.body), name


def test_a_route_without_a_budget_is_told() -> None:
    router = APIRouter()
    router.add_api_route("/x", lambda: None)
    with pytest.raises(KeyError, match="GET /x"):
        budgets_of(router.routes)


def test_the_page_tells_what_is_declared() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "run: python -m tools.limits_page"


def rooms(size: int = 100) -> Rooms:
    return Rooms(Room(size, 25, patience=0.2), Room(10 * MB, 0, patience=0.2), Room(8, 2))


@asynccontextmanager
async def serving(
    handler: Callable[..., Any], budget: Budget = SMALL, given: Rooms | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_api_route("/x", handler, methods=["GET", "POST"], dependencies=[within(budget)])
    app.add_middleware(Budgets, rooms=given or rooms())
    app.add_middleware(RequestMiddleware, metrics=ApiMetrics())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        yield client


async def echo(request: Request) -> Response:
    return Response(str(len(str(await read_json(request)))))


def kind(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["type"].rpartition(":")[2]


async def test_a_body_and_its_values_are_bounded_however_they_come() -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 65536

    async with serving(echo) as client:
        assert (await client.post("/x", content=b"[1]")).status_code == 200
        for body in (b" " * (MB + 1), in_pieces()):
            assert kind(await client.post("/x", content=body)) == (413, "too-large")
        many = {
            "ones": b"[" + b"1," * 100 + b"1]",
            "lists": b"[" + b"[]," * 100 + b"1]",
            "nested": b"[" * 200 + b"]" * 200,
            "names": b"{" + b",".join(b'"%d":0' % n for n in range(100)) + b"}",
            "behind a large text": b'["' + b"a" * 90000 + b'",' + b"1," * 100 + b"1]",
        }
        for name, body in many.items():
            assert kind(await client.post("/x", content=body)) == (413, "too-many-values"), name
        texts = b'["' + b"[1,2,3]," * 11000 + b'\\",\\""]'
        assert (await client.post("/x", content=texts)).status_code == 200


async def test_what_takes_too_long_is_ended_and_what_is_too_large_is_not_sent() -> None:
    ended = asyncio.Event()

    async def slow() -> Response:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return Response()

    async with serving(slow) as client:
        assert kind(await client.get("/x")) == (503, "took-too-long")
    assert ended.is_set()

    async def large() -> Response:
        return Response(b"x" * 1001)

    async with serving(large) as client:
        assert kind(await client.get("/x")) == (422, "answer-too-large")


async def test_only_as_many_work_as_there_is_room_for() -> None:
    few = rooms()
    working = most = 0
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def work() -> Response:
        nonlocal working, most
        async with room_to_read():
            working += 1
            most = max(most, working)
            begun.set()
            await goes_on.wait()
            working -= 1
        return Response()

    budget = Budget(seconds=5, memory=60)
    patient = Rooms(Room(100, 25, patience=5), Room(1, 0), Room(8, 2))
    async with serving(work, budget, patient) as client:
        asked = [asyncio.create_task(client.get("/x")) for _ in range(5)]
        await begun.wait()
        goes_on.set()
        answers = await asyncio.gather(*asked)
    assert {found.status_code for found in answers} == {200}
    assert most == 1
    assert patient.working.held == 0

    begun.clear()
    goes_on.clear()
    async with serving(work, budget, few) as client:
        first = asyncio.create_task(client.get("/x"))
        await begun.wait()
        refused = await client.get("/x")
        assert kind(refused) == (503, "busy")
        assert refused.headers["retry-after"]
        goes_on.set()
        assert (await first).status_code == 200
    assert few.working.held == 0


class Slow:
    """A request whose body comes as it is told to, over a connection that can be cut."""

    def __init__(self, app: ASGIApp, caller: str, headers: dict[str, str] | None = None) -> None:
        self.cuts: list[str] = []
        self.sent: list[Message] = []
        self._body: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/x",
            "query_string": b"",
            "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
            CALLER: caller,
            CUT: self._cut,
        }
        self.task = asyncio.create_task(cast("Any", app(scope, self._receive, self._send)))

    def bring(self, data: bytes, *, more: bool = True) -> None:
        self._body.put_nowait((data, more))

    def _cut(self, reason: str) -> None:
        self.cuts.append(reason)
        self.reads.set()
        self.task.cancel()

    async def _receive(self) -> Message:
        body, more = await self._body.get()
        return {"type": "http.request", "body": body, "more_body": more}

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        self.sent.append(message)

    async def status(self) -> int:
        await asyncio.wait_for(self.task, 10)
        return int(self.sent[0]["status"])


def built(handler: Callable[..., Any], budget: Budget, rooms: Rooms) -> ASGIApp:
    app = FastAPI()
    app.add_api_route("/x", handler, methods=["GET", "POST"], dependencies=[within(budget)])
    return RequestMiddleware(Budgets(app, rooms), ApiMetrics())


@pytest.mark.parametrize("declared", [{}, {"content-length": f"{10 * MB}"}])
async def test_bodies_that_do_not_come_keep_no_room_from_others(declared: dict[str, str]) -> None:
    """Whatever length they declare, or none: what has come is held, and nothing else."""
    budget = Budget(body=10 * MB, values=100, memory=0, seconds=30)
    app = built(echo, budget, Rooms.usual(8))
    slow = [Slow(app, "slow", declared) for _ in range(20)]
    for request in slow:
        request.bring(b" " * 65536 + b" ")
    await asyncio.sleep(0.1)
    other = Slow(app, "other")
    for _ in range(159):
        other.bring(b" " * 65536)
    other.bring(b"[1]", more=False)
    assert await other.status() == 200
    assert not any(request.task.done() for request in slow)
    for request in slow:
        request.task.cancel()
    await asyncio.gather(*(request.task for request in slow), return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a room has no event
            await asyncio.sleep(0.001)


async def test_bodies_that_do_not_come_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PRESSING_S", 0.05)
    monkeypatch.setattr(room, "_SLOW_S", 0.1)
    budget = Budget(body=10 * MB, values=100, memory=0, seconds=30)
    rooms = Rooms(Room(1, 0), Room(10 * MB, 0, patience=30), Room(8, 2))
    app = built(echo, budget, rooms)
    slow = Slow(app, "slow")
    for _ in range(100):
        slow.bring(b" " * 65536)
    await until(lambda: rooms.uploads.held >= 100 * 65536)
    other = Slow(app, "other")
    for _ in range(159):
        other.bring(b" " * 65536)
    other.bring(b"[1]", more=False)
    assert await other.status() == 200
    assert slow.cuts == ["slow body"]
    await asyncio.gather(slow.task, return_exceptions=True)
    assert rooms.uploads.held == 0


async def test_answers_that_nobody_takes_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PRESSING_S", 0.05)
    monkeypatch.setattr(room, "_SLOW_S", 0.1)

    async def large() -> Response:
        async with room_to_read():
            return Response(b"x" * MB)

    budget = Budget(memory=MB, answer=2 * MB)
    rooms = Rooms(Room(2 * MB, 0, patience=30), Room(1, 0), Room(8, 2))
    app = built(large, budget, rooms)
    slow: list[Slow] = []
    for _ in range(2):
        slow.append(Slow(app, "slow"))
        slow[-1].reads.clear()
        slow[-1].bring(b"", more=False)
        await until(lambda: rooms.working.held == len(slow) * MB)
    other = Slow(app, "other")
    assert await other.status() == 200
    assert [request.cuts for request in slow] == [["not read"]] * 2
    assert not other.cuts
    await asyncio.gather(*(request.task for request in slow), return_exceptions=True)
    assert rooms.working.held == 0


async def test_an_answer_that_takes_room_is_taken_within_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mechanism, "_ANSWER_S", 0.05)

    async def sized(size: int) -> Response:
        return Response(b"x" * size)

    async def large() -> Response:
        return await sized(MB)

    async def small() -> Response:
        return await sized(1000)

    rooms = Rooms.usual(8)
    monkeypatch.setattr(mechanism, "_ANSWER_RATE", 100 * MB)
    for handler, cuts in ((large, ["not read"]), (small, [])):
        request = Slow(built(handler, Budget(answer=2 * MB), rooms), "slow")
        request.reads.clear()
        await asyncio.sleep(0.2)
        request.reads.set()
        await asyncio.gather(request.task, return_exceptions=True)
        assert request.cuts == cuts
    assert rooms.working.held == 0


async def test_shared_work_is_charged_to_one_who_shares_it() -> None:
    rooms = Rooms(Room(100, 40, patience=5), Room(1, 0), Room(8, 2))
    busy = rooms.working.holding("starts")
    await busy.grow(50)
    starts = Spending(rooms, "starts")
    starts.begin(Budget(memory=40))
    with working_for(starts):  # who has no share left
        cost = shared_spending(rooms)

    async def work() -> None:
        with working_for(cost):
            async with room_to_read():
                assert rooms.working.held == 90

    working = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    assert not working.done()
    cost.join("joins")  # and has
    await asyncio.wait_for(working, 5)
    assert rooms.working.held == 50
    async with room_to_read():  # outside of all requests
        assert rooms.working.held == 50
