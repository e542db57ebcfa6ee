"""TCP ports on 127.0.0.1."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

from nova_stream.errors import LocalStackError

HOST = "127.0.0.1"

#: Where free ports are looked for: below the range from which systems take the ports of outgoing
#: connections, so that a free port cannot be lost to one between looking and listening.
RANGE = range(20000, 30000)
#: Ports that are tried where one is preferred.
_TRIES = 100


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set this too; without it a port that was just left looks taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on ``port`` of 127.0.0.1."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port(*, preferred: int | None = None, exclude: frozenset[int] = frozenset()) -> int:
    """A port that is free now: ``preferred`` if it is, else a random one, none of ``exclude``.

    Raises LocalStackError when none is found.
    """
    if preferred is not None and preferred not in exclude and is_free(preferred):
        return preferred

    for port in random.sample(RANGE, 200):
        if port not in exclude and is_free(port):
            return port
    raise LocalStackError(
        f"no free port on {HOST} between {RANGE.start} and {RANGE.stop - 1}; "
        "stop some of the servers on this machine"
    )


def read_port(path: Path) -> int | None:
    """The port that a file holds, None when there is none."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def next_free_port(start: int) -> int:
    """The first free port from ``start`` upwards; raises LocalStackError after some."""
    for port in range(start, min(start + _TRIES, 65536)):
        if is_free(port):
            return port
    raise LocalStackError(
        f"no free port on {HOST} between {start} and {start + _TRIES - 1}; give another one"
    )


def require_free(port: int, what: str, how: str) -> None:
    """Raise LocalStackError that names ``port`` unless it is free.

    ``what`` wants the port; ``how`` says how to give another one.
    """
    if not 0 < port < 65536:
        raise LocalStackError(f"port {port} for {what} does not exist; {how} between 1 and 65535")
    if not is_free(port):
        raise LocalStackError(f"port {port} on {HOST} is taken, {what} needs it; {how}")
