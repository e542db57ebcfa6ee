"""What is known of a Postgres: that it answers, keeps everybody waiting, or refuses."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from nova_stream.api import postgres_watch
from nova_stream.api.database import Database
from nova_stream.api.postgres_watch import PostgresWatch
from nova_stream.local.ports import free_port
from nova_stream.settings import load_settings
from nova_stream.storage.faults import PostgresState


class AnsweringPostgres:
    """A connection on which everything is answered soon."""

    async def execute(self, _statement: str) -> None:
        for _ in range(5):  # an answer comes in pieces
            await asyncio.sleep(0.01)

    async def close(self, *, timeout: float) -> None: ...

    def terminate(self) -> None: ...


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_watch, "_EVERY_S", 0.01)
    monkeypatch.setattr(postgres_watch, "_LIMIT_S", 0.3)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@asynccontextmanager
async def watching(port: int) -> AsyncIterator[PostgresWatch]:
    watch = PostgresWatch(load_settings(database_url=f"postgresql://u:p@127.0.0.1:{port}/d"))
    watch.start()
    try:
        yield watch
    finally:
        await watch.close()


async def until_it_is(watch: PostgresWatch, state: PostgresState) -> None:
    async with asyncio.timeout(5):
        while watch.state != state:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.01)


async def test_a_server_that_says_nothing_is_silent(silent: int) -> None:
    async with watching(silent) as watch:
        await until_it_is(watch, "silent")


async def test_a_port_where_nobody_listens_refuses() -> None:
    async with watching(free_port()) as watch:
        await until_it_is(watch, "refusing")


async def test_whoever_waits_is_told_as_soon_as_nothing_is_answered(silent: int) -> None:
    async with watching(silent) as watch:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5), watch.while_it_answers():
                await asyncio.sleep(60)
        assert time.monotonic() - began < 2
        assert watch.state == "silent"


async def test_a_read_does_not_begin_while_nothing_is_answered(silent: int) -> None:
    async with watching(silent) as watch:
        database = Database(load_settings(), watch=watch)
        await until_it_is(watch, "silent")
        for begin in (database.connection, database.brief_look):
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                async with begin():
                    pass
            assert time.monotonic() - started < 0.2


async def test_a_server_that_comes_back_is_up_again(
    silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(silent) as watch:
        await until_it_is(watch, "silent")
        monkeypatch.setattr(postgres_watch, "connect", _answers())
        await until_it_is(watch, "up")
        async with watch.while_it_answers():
            pass


async def test_a_loop_that_stands_is_not_a_late_server(
    silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_watch, "connect", _answers())
    async with watching(silent) as watch, watch.while_it_answers():
        for _ in range(3):
            await asyncio.sleep(0.02)
            time.sleep(0.5)  # noqa: ASYNC251 - this is what is tested
        assert watch.state == "up"


async def test_an_error_of_any_kind_does_not_end_the_watch(
    silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object, **_named: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(postgres_watch, "connect", fail)
    async with watching(silent) as watch:
        await until_it_is(watch, "refusing")
        monkeypatch.setattr(postgres_watch, "connect", _answers())
        await until_it_is(watch, "up")


def _answers() -> Callable[..., object]:
    async def connect(*_args: object, **_named: object) -> AnsweringPostgres:
        return AnsweringPostgres()

    return connect
