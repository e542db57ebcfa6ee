"""Why brokers cannot be used: nothing listens, nobody answers, or their names are not known."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import Future
from typing import Any

from nova_stream.kafka.model import KafkaState
from nova_stream.settings import Settings

#: Seconds for a broker: to look its name up, and for a connection.
_LIMIT_S = 0.3


async def state_of_brokers(settings: Settings) -> KafkaState:
    """For brokers that gave no answer: ``unresolved`` when the name of none can be looked up,
    ``refusing`` when every one that has an address refuses a connection within 0.3 s, else
    ``silent``.
    """
    found = await asyncio.gather(*(_state_of(broker) for broker in settings.kafka_brokers))
    if "silent" in found:
        return "silent"
    return "refusing" if "refusing" in found else "unresolved"


async def _state_of(broker: str) -> KafkaState:
    host, _, port = broker.rpartition(":")
    try:
        async with asyncio.timeout(_LIMIT_S):
            found = await look_up(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            for *_, address in found:
                if not await _refuses(address[0], address[1]):
                    return "silent"
    except TimeoutError:
        return "silent"
    except socket.gaierror:
        return "unresolved"
    return "refusing"


async def _refuses(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise
    except OSError:
        return True
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return False


_Asked = tuple[Any, ...]

_lock = threading.Lock()
_under_way: dict[_Asked, Future[list[Any]]] = {}


async def look_up(host: Any, port: Any, **hints: int) -> list[Any]:
    """As ``socket.getaddrinfo``; those who ask for the same at one moment share one look.

    Raises socket.gaierror; who stops waiting leaves the look to the others. An event loop's own way
    takes a thread of the loop's for each attempt, which nobody gets back before the resolver gives
    up: who tries once a second soon has others wait for theirs, and cannot end.
    """
    asked = (host, port, *sorted(hints.items()))
    with _lock:
        found = _under_way.get(asked)
        if found is None:
            found = _under_way[asked] = Future()
            found.set_running_or_notify_cancel()
            threading.Thread(target=_ask, args=(asked, found), name="names", daemon=True).start()
    return await asyncio.wrap_future(found)


def _ask(asked: _Asked, found: Future[list[Any]]) -> None:
    host, port, *hints = asked
    try:
        addresses = socket.getaddrinfo(host, port, **dict(hints))
    except UnicodeError:
        error: OSError = socket.gaierror(socket.EAI_NONAME, "this cannot be a name")
    except OSError as given:
        error = given
    else:
        _end(asked)
        found.set_result(addresses)
        return
    _end(asked)
    found.set_exception(error)


def _end(asked: _Asked) -> None:
    with _lock:
        del _under_way[asked]
