"""Budgets: every route has one, the page tells them, and the mechanism holds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response

from nova_stream.api.app import ROUTES
from nova_stream.api.budget.budget import (
    MB,
    Budget,
    Budgets,
    budgets_of,
    reserve_to_read,
    shared,
    within,
)
from nova_stream.api.budget.page import PAGE, page
from nova_stream.api.budget.request_body import read_json
from nova_stream.api.budget.room import Room, Rooms
from nova_stream.api.convex.backend import FUNCTIONS
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.middleware import RequestMiddleware
from nova_stream.api.problems import ProblemError

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
    assert page(text) == text, "run: python -m nova_stream.api.budget.page"


def rooms(size: int = 100) -> Rooms:
    return Rooms(Room(size, patience=0.2), Room(10 * MB, patience=0.2))


@asynccontextmanager
async def serving(
    handler: Callable[..., Any], budget: Budget = SMALL, room: Rooms | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_api_route("/x", handler, methods=["GET", "POST"], dependencies=[within(budget)])
    app.add_middleware(Budgets, rooms=room or rooms())
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
    room = rooms()
    working = most = 0
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def work() -> Response:
        nonlocal working, most
        await reserve_to_read()
        working += 1
        most = max(most, working)
        begun.set()
        await goes_on.wait()
        working -= 1
        return Response()

    budget = Budget(seconds=5, memory=60)
    patient = Rooms(Room(100, patience=5), Room(1))
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
    async with serving(work, budget, room) as client:
        first = asyncio.create_task(client.get("/x"))
        await begun.wait()
        refused = await client.get("/x")
        assert kind(refused) == (503, "busy")
        assert refused.headers["retry-after"]
        goes_on.set()
        assert (await first).status_code == 200
    assert room.working.held == 0


async def test_a_caller_keeps_some_of_the_room_for_others() -> None:
    room = Room(100, patience=0.05)
    await room.take(40, "greedy")
    with pytest.raises(ProblemError) as refused:
        await room.take(40, "greedy")
    assert refused.value.kind == "busy"
    await room.take(50, "other")
    room.change(-40, "greedy")
    await room.take(20, "greedy")
    room.change(-20, "greedy")
    room.change(-50, "other")
    await room.take(1000, "larger than all")  # alone, or it would never be its turn
    room.change(-1000, "larger than all")
    assert room.held == 0


async def test_those_who_wait_and_go_take_nothing_along() -> None:
    room = Room(100, patience=60)
    await room.take(100, "one")
    waiting = [asyncio.create_task(room.take(100, name)) for name in ("two", "three")]
    await asyncio.sleep(0)
    room.change(-100, "one")  # its turn comes to "two"
    waiting[0].cancel()  # at the same moment
    await asyncio.gather(waiting[0], return_exceptions=True)
    await waiting[1]
    assert room.held == 100


async def test_shared_work_costs_none_of_those_who_share_it() -> None:
    room = rooms()
    with shared(room, Budget(memory=60)):
        await reserve_to_read()
        assert room.working.held == 60
    assert room.working.held == 0
    await reserve_to_read()  # outside of all requests
    assert room.working.held == 0
