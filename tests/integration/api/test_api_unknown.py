"""Unknown is no: while Postgres stands still, nobody without a token gets what may need one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from nova_stream.api import database
from nova_stream.api.app import create_app
from nova_stream.api.auth import stored_tokens
from nova_stream.clock import system_clock
from nova_stream.settings import Settings
from nova_stream.storage.access import tokens as token_store
from nova_stream.storage.database import connect

from .stalling import Stall, stalling
from .streams import LIMIT, listening, stream

pytestmark = pytest.mark.integration

READS = (
    ("GET", "/api/v1/overview"),
    ("GET", "/api/v1/agents/stats"),
    ("GET", "/api/v1/agents/stats?unregistered=true"),
    ("GET", "/api/v1/builds"),
    ("GET", "/api/v1/build?id=b"),
    ("GET", "/api/v1/jobs"),
    ("GET", "/api/v1/dead-letters"),
    ("HEAD", "/api/v1/overview"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/stream"),
    ("POST", "/api/query"),
    ("POST", "/c/none/api/query"),
    ("POST", "/api/v1/events"),
)
QUERY = {"path": "dashboard:getOverviewStats", "args": {}}


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient, Stall]]:
    """An API without configured tokens, whose Postgres can be held."""
    async with stalling(settings) as (relayed, stall):
        app = create_app(relayed)
        async with listening(app) as client:
            try:
                yield app, client, stall
            finally:
                stall.release()


async def make_token(settings: Settings) -> str:
    secret = token_store.new_secret()
    connection = await connect(settings, "test")
    try:
        await token_store.create(connection, "a", secret, ["read"], system_clock(), None)
    finally:
        await connection.close()
    return secret


async def ask(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    return await client.request(method, path, json=QUERY if method == "POST" else None)


@pytest.mark.parametrize("held", [0.5, 3.0])
async def test_before_the_first_answer_of_postgres_everything_is_refused(
    nova_settings: Settings, held: float
) -> None:
    """``held``: seconds, less and more than the look for tokens takes."""
    secret = await make_token(nova_settings)
    async with serving(nova_settings) as (_, client, stall):
        stall.hold()
        asked = [asyncio.create_task(ask(client, *read)) for read in READS]
        await asyncio.sleep(held)  # the time of the stall is what is tried
        stall.release()
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} <= {401, 503}
        headers = {"Authorization": f"Bearer {secret}"}
        for _ in range(int(LIMIT / 0.1)):
            if (await client.get(READS[0][1], headers=headers)).status_code == 200:
                break
            await asyncio.sleep(0.1)
        assert (await client.get(READS[0][1], headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [r for r in READS if r[1] not in {"/metrics", "/api/v1/stream", "/api/v1/events"}],
)
async def test_a_token_made_while_the_answer_was_read_counts_for_it(
    nova_settings: Settings, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    async with serving(nova_settings) as (_, client, stall):
        assert (await ask(client, method, path)).status_code in {200, 404}
        stall.hold()
        asked = asyncio.create_task(ask(client, method, path))
        await asyncio.sleep(0.3)  # it has been let in
        monkeypatch.setattr(stored_tokens, "_FRESH_S", 0.2)
        await make_token(nova_settings)
        stall.release()
        answer = await asked
        assert answer.status_code in {401, 503}, answer.text


async def test_a_token_that_was_revoked_while_the_answer_was_read_gets_none(
    nova_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await make_token(nova_settings)
    async with serving(nova_settings) as (_, client, stall):
        client.headers["Authorization"] = f"Bearer {secret}"
        assert (await client.get("/api/v1/overview")).status_code == 200
        stall.hold()
        asked = asyncio.create_task(client.get("/api/v1/overview"))
        await asyncio.sleep(0.3)  # it has been let in
        monkeypatch.setattr(stored_tokens, "_FRESH_S", 0.2)
        connection = await connect(nova_settings, "test")
        try:
            await token_store.revoke(connection, "a", system_clock())
        finally:
            await connection.close()
        stall.release()
        assert (await asked).status_code == 401


async def test_a_stream_gives_nothing_that_was_read_after_a_token_was_made(
    nova_settings: Settings,
) -> None:
    async with serving(nova_settings) as (_, client, stall), stream(client) as events:
        await events.picture()
        stall.hold()
        await events.until("state", connected=False)
        await make_token(nova_settings)
        stall.release()
        with pytest.raises(StopAsyncIteration):
            while True:
                event = await events.next()
                assert event.name == "state"


async def test_what_was_learned_at_the_start_is_known(nova_settings: Settings) -> None:
    async with serving(nova_settings) as (app, client, stall):
        app.state.services.tokens.assume_stored()
        stall.hold()
        assert (await client.get("/api/v1/overview")).status_code == 401
        assert (await client.get("/health/live")).status_code == 200


#: What can become of Postgres.
HOW: dict[str, Callable[[Stall], Callable[[], None]]] = {
    "hung": lambda stall: stall.hold,
    "refusing": lambda stall: stall.refuse,
}


@pytest.mark.long
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("warm", [False, True], ids=["first request", "later"])
async def test_whatever_message_to_postgres_is_the_last_nobody_is_let_in_by_it(
    nova_settings: Settings, monkeypatch: pytest.MonkeyPatch, how: str, warm: bool
) -> None:
    """From the first byte of the first connection to the look after the data were read."""
    monkeypatch.setattr(stored_tokens, "_LIMIT_S", 0.3)
    monkeypatch.setattr(stored_tokens, "_PAUSE_S", 0.0)
    monkeypatch.setattr(stored_tokens, "_FRESH_S", 0.1)
    monkeypatch.setattr(database, "_LIMIT_S", 0.5)
    secret = await make_token(nova_settings)
    callers = {None: {401, 503}, "nova_unknown": {401, 503}, secret: {200, 503}}
    steps = 0
    for caller, allowed in callers.items():
        headers = {"Authorization": f"Bearer {caller}"} if caller else {}
        for message in range(1, 200):
            async with serving(nova_settings) as (_, client, stall):
                if warm:
                    known = {"Authorization": f"Bearer {secret}"}
                    await client.get("/api/v1/overview", headers=known)
                    await asyncio.sleep(0.15)  # what it knows is old then
                stall.break_at(message, HOW[how](stall))
                answer = await client.get("/api/v1/overview", headers=headers)
                assert answer.status_code in allowed, (message, answer.text)
                if answer.status_code != 200:
                    assert "totalBuilds" not in answer.text
                if not stall.broken:
                    break
                steps += 1
        else:
            pytest.fail("it never ends")
    assert steps >= (4 if warm else 20)
