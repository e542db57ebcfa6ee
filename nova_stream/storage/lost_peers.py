"""A server that is gone without a word: its host lost power, or a firewall forgot the connection.
Without limits of our own the system would wait a quarter of an hour for what it sends, and for ever
for an answer.
"""

from __future__ import annotations

import socket
from typing import Any

import asyncpg

#: Seconds for which the other end may acknowledge nothing. A server that is stopped acknowledges
#: what comes until its buffers are full; it may be for so long, too.
LIMIT_S = 30
#: Seconds without a word after which it is asked for one, and then again.
_IDLE_S, _AGAIN_S = 10, 5


def notice_loss(connection: asyncpg.Connection[Any]) -> None:
    """Have the system break ``connection`` once its other end has acknowledged nothing for
    ``LIMIT_S``; a server that answers nothing and is still there does not count.
    """
    # asyncpg has no setting for it, and no other way to the socket.
    peer = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if peer.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _IDLE_S),
        ("TCP_KEEPINTVL", _AGAIN_S),
        ("TCP_KEEPCNT", (LIMIT_S - _IDLE_S) // _AGAIN_S),
        ("TCP_USER_TIMEOUT", LIMIT_S * 1000),
    ):
        if (option := getattr(socket, name, None)) is not None:  # no system has all of them
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
