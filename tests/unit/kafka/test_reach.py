"""What is told of brokers that cannot be used, and what looking their names up costs."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from nova_stream.kafka.reach import state_of_brokers
from nova_stream.settings import load_settings
from nova_stream.storage.faults import state_of

LOCALHOST = "127.0.0.1"


class Resolver:
    """Knows one name, and answers for another only when it is let."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.known = socket.getaddrinfo

    def __call__(self, host: str, *given: Any, **more: Any) -> list[Any]:
        if host == "slow":
            assert self.answers.wait(30)
        elif host == "unknown":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        elif host != "known":
            return self.known(host, *given, **more)
        return self.known(LOCALHOST, *given, **more)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield found
    found.answers.set()


@pytest.fixture
async def open_port() -> AsyncIterator[int]:
    async with await asyncio.start_server(lambda _r, writer: writer.close(), LOCALHOST) as server:
        yield server.sockets[0].getsockname()[1]


STATES = [
    ("known:1", "refusing"),
    ("unknown:1", "unresolved"),
    (f"{'x' * 64}.example:1", "unresolved"),
    ("slow:1", "silent"),
    ("known:{}", "silent"),
    ("[::1]:1", "refusing"),
    ("unknown:1,known:1", "refusing"),
    ("unknown:1,known:{}", "silent"),
    ("slow:1,unknown:1", "silent"),
    ("unknown:1,unknown:2", "unresolved"),
]


@pytest.mark.usefixtures("resolver")
@pytest.mark.parametrize(("brokers", "state"), STATES)
async def test_names_refusals_and_silence_are_told_apart(
    brokers: str, state: str, open_port: int
) -> None:
    settings = load_settings(kafka_brokers=brokers.format(open_port))
    assert await state_of_brokers(settings) == state


def looking() -> int:
    return sum(thread.name == "names" for thread in threading.enumerate())


async def test_a_resolver_that_hangs_keeps_one_thread_a_name(resolver: Resolver) -> None:
    settings = load_settings(kafka_brokers="slow:1,slow:2")
    await asyncio.gather(*(state_of_brokers(settings) for _ in range(40)))
    assert looking() == 2
    # Whoever needs a thread of the loop's gets one.
    assert await asyncio.wait_for(asyncio.to_thread(threading.get_ident), 1)
    resolver.answers.set()
    for _ in range(200):
        if not looking():
            break
        await asyncio.sleep(0.01)
    assert not looking()
    assert await state_of_brokers(settings) == "refusing"


def test_a_database_whose_name_is_not_known_is_told_so() -> None:
    assert state_of(socket.gaierror(socket.EAI_NONAME, "not known")) == "unresolved"
    assert state_of(ConnectionRefusedError()) == "refusing"
    assert state_of(TimeoutError()) == "silent"
