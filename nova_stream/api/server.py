"""Serving the API: the address, the checks before it, and an end within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import gc
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from nova_stream.api.app import create_app
from nova_stream.api.auth.tokens import Tokens
from nova_stream.api.connections import Connections
from nova_stream.api.state import ApiServices
from nova_stream.api.tls import Certificate
from nova_stream.deployment_url import is_loopback
from nova_stream.errors import (
    DatabaseUnavailableError,
    NovaStreamError,
    SettingsError,
    UsageError,
)
from nova_stream.settings import Settings
from nova_stream.storage.access import tokens as token_store
from nova_stream.storage.database import open_session
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: Seconds that answers under way have at the end; those that wait for a position are cut off.
_GRACE = 2
#: Connections that wait to be accepted: a burst of all that may be open at once fits in.
_BACKLOG = 4096
#: Connections beside the streams, and open files beside connections: to Postgres, to Kafka, of
#: pages; probes have places of their own among them.
_OTHER_CONNECTIONS = 1024
_OTHER_FILES = 256
#: Of glibc's mallopt: from which size on a block is by itself, and how many arenas there are.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_LARGE_BLOCK = 256 * 1024
#: Connections that may be agreeing on TLS, which no deadline of ours sees, and for how long.
_HANDSHAKES, _HANDSHAKE_S = 4096, 10.0
#: What to do about a secret that is easily guessed.
_STRONG = "take a secret of 16 or more letters and digits by chance, as openssl rand -hex 24 gives"
#: Connections that there are at least, however few files the system allows.
_FEWEST = 64


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the API and the start page until SIGINT or SIGTERM; port 0 takes any free one.

    Postgres and Kafka may be away: what needs them answers 503 until they are there. Raises
    SettingsError (no token for an address that others reach), UsageError (no such address) or
    NovaStreamError (the port is taken).
    """
    app = create_app(settings)
    tokens = Tokens(settings)
    configured = not tokens.open

    def has_tokens() -> bool:
        if not configured and _stores_tokens(settings):
            app.state.services.tokens.assume_stored()
            return True
        return configured

    certificate = _certificate(settings)
    listener = _listen(host, port, has_tokens=has_tokens, weak=tokens.weak)
    with listener:
        wanted = settings.api_streams + _OTHER_CONNECTIONS
        others = _OTHER_FILES + (_HANDSHAKES if certificate else 0)
        files = _allow_open_files(wanted + others)
        connections = Connections(
            max(_FEWEST, min(wanted, files - others)),
            app.state.services.metrics,
            settings.api_trusted_proxies,
        )
        config = uvicorn.Config(
            app,
            http=connections.protocol(),
            log_config=None,
            access_log=False,
            backlog=_BACKLOG,  # it listens once more
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
            proxy_headers=bool(settings.api_trusted_proxies),
            forwarded_allow_ips=list(settings.api_trusted_proxies),
        )
        sys.stdout.write(
            f"nova-stream api listens on {_address(listener, tls=certificate is not None)}"
            f"{_hint(configured=configured)}\n"
        )
        sys.stdout.flush()
        _give_memory_back()
        _warn_of_plain_http(settings, listener, certificate)
        if tokens.weak:
            _log.warning("a token is easily guessed", tokens=tokens.weak, then=_STRONG)
        gc.freeze()  # else collections look at all of the program, for 150 ms
        Server(config, app.state.services, certificate).run(sockets=[listener])


class Server(uvicorn.Server):
    """A server for which a signal is the ordinary end: uvicorn's own raises it again. Streams and
    waiting reads end with the signal, since the server waits for its answers to end.
    """

    def __init__(
        self, config: uvicorn.Config, services: ApiServices, certificate: Certificate | None = None
    ) -> None:
        super().__init__(config)
        self._services = services
        self._loop: asyncio.AbstractEventLoop | None = None
        self._certificate = certificate
        self._following: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = loop = asyncio.get_running_loop()
        if self._certificate is not None:
            self.config.ssl = context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.set_alpn_protocols(["http/1.1"])
            self._certificate.load(context)
            self._following = loop.create_task(self._certificate.follow(context))
            # uvicorn leaves the handshake asyncio's minute.
            loop.create_server = partial(  # type: ignore[method-assign]
                loop.create_server, ssl_handshake_timeout=_HANDSHAKE_S
            )
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._following is not None:
            self._following.cancel()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._services.changes.end)
            self._loop.call_soon_threadsafe(self._services.watch.end)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _certificate(settings: Settings) -> Certificate | None:
    """The API's certificate, if it has one; raises SettingsError when it cannot be used."""
    if settings.api_tls_cert is None or settings.api_tls_key is None:
        return None
    certificate = Certificate(Path(settings.api_tls_cert), Path(settings.api_tls_key))
    certificate.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    return certificate


def _warn_of_plain_http(
    settings: Settings, listener: socket.socket, certificate: Certificate | None
) -> None:
    host = str(listener.getsockname()[0])
    if certificate is None and not settings.api_trusted_proxies and not is_loopback(host):
        _log.warning(
            "the API is served without TLS",
            address=host,
            then="anyone on the network path can read tokens and documents; give it a certificate "
            "(--tls-cert, --tls-key), or name the proxy that has one (NOVA_API_TRUSTED_PROXIES)",
        )


def _listen(
    host: str, port: int, *, has_tokens: Callable[[], bool], weak: Sequence[str] = ()
) -> socket.socket:
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
    if not all(is_loopback(str(item[4][0])) for item in found):
        if not has_tokens():
            raise SettingsError(
                f"--host {host}: without a token only this machine is served, on 127.0.0.1; set "
                "NOVA_API_TOKEN (or NOVA_API_TOKENS), or make one with nova-stream tokens create, "
                "to let others in"
            )
        if weak:
            raise SettingsError(
                f"--host {host}: others must not guess the secret of {', '.join(weak)} (value not "
                f"shown); {_STRONG}"
            )
    return _bind(family, str(address[0]), port)


def _stores_tokens(settings: Settings) -> bool:
    async def ask() -> bool:
        async with open_session(settings, "api") as connection:
            return await token_store.any_stored(connection)

    try:
        return asyncio.run(ask())
    except DatabaseUnavailableError as error:
        raise SettingsError(
            f"neither NOVA_API_TOKEN nor NOVA_API_TOKENS is set, and stored tokens cannot be "
            f"looked up: {error}"
        ) from None


def _allow_open_files(wanted: int) -> int:
    """Raise this process' limit of open files to ``wanted``, as far as the system lets it; what
    there are then of those.
    """
    if sys.platform == "win32":
        return wanted
    import resource  # noqa: PLC0415 - Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def _give_memory_back() -> None:
    """Have large blocks of memory go back to the system when they are free: glibc otherwise keeps
    those of bodies and answers, in an arena a thread.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # another libc
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_ARENA_MAX, 2)


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
        return NovaStreamError(
            f"port {port}: this user may not listen on it; choose one above 1023"
        )
    return UsageError(
        f"cannot listen on {host}, port {port}: {error.strerror}; --host is an address of this "
        "machine"
    )


def _address(listener: socket.socket, *, tls: bool) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _hint(*, configured: bool) -> str:
    return "" if configured else " (open to this machine, unless there are stored tokens)"
