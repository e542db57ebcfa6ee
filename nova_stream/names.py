"""Names of hosts, looked up so that a resolver that does not answer costs one thread a name.

An event loop's own way takes a thread of the loop's for each attempt, which nobody gets back before
the resolver gives up: who tries once a second soon has others wait for theirs, and cannot end.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Any

_Asked = tuple[Any, ...]

_lock = threading.Lock()
_under_way: dict[_Asked, Future[list[Any]]] = {}


async def look_up(host: Any, port: Any, **hints: int) -> list[Any]:
    """As ``socket.getaddrinfo``; those who ask for the same at one moment share one look.

    Raises socket.gaierror; who stops waiting leaves the look to the others.
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
