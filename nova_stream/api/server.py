"""Serving the API: the address, the checks before it, and an end within seconds."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from nova_stream.api.app import create_app
from nova_stream.api.tokens import Tokens
from nova_stream.errors import NovaStreamError, SettingsError, UsageError
from nova_stream.settings import Settings

#: Seconds that answers under way have at the end; those that wait for a position are cut off.
_GRACE = 2
_BACKLOG = 2048


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the API and the start page until SIGINT or SIGTERM; port 0 takes any free one.

    Postgres and Kafka may be away: what needs them answers 503 until they are there. Raises
    SettingsError (no token for an address that others reach), UsageError (no such address) or
    NovaStreamError (the port is taken).
    """
    tokens = Tokens(settings)
    listener = _listen(host, port, open_=tokens.open)
    with listener:
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        sys.stdout.write(f"nova-stream api listens on {_address(listener)}{_hint(tokens)}\n")
        sys.stdout.flush()
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server for which a signal is the ordinary end: uvicorn's own raises it again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(host: str, port: int, *, open_: bool) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise UsageError(
            f"--host {host}: there is no such address here ({error.strerror}); "
            "127.0.0.1 is this machine alone, 0.0.0.0 all networks"
        ) from None
    family, _, _, _, address = found[0]
    if open_ and not all(_is_loopback(str(item[4][0])) for item in found):
        raise SettingsError(
            f"--host {host}: without a token only this machine is served, on 127.0.0.1; set "
            "NOVA_API_TOKEN (or NOVA_API_TOKENS) to let others in"
        )
    return _bind(family, str(address[0]), port)


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_bind(error, host, port) from None
    return listener


def _cannot_bind(error: OSError, host: str, port: int) -> NovaStreamError:
    if error.errno == errno.EADDRINUSE:
        return NovaStreamError(
            f"port {port} on {host} is taken by another program; give another one with --port "
            "(0 = any free one), or stop that program"
        )
    if error.errno == errno.EACCES:
        return NovaStreamError(f"port {port}: this user may not listen there; take one above 1023")
    return UsageError(
        f"cannot listen on {host}, port {port}: {error.strerror}; --host is an address of this "
        "machine"
    )


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _hint(tokens: Tokens) -> str:
    return " (open to this machine: no token is set)" if tokens.open else ""
