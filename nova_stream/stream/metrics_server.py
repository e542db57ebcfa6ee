"""Where Prometheus gets a process' numbers, of a worker or of a capture."""

from __future__ import annotations

import errno
import hmac
import socket
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server

from nova_stream.errors import SettingsError
from nova_stream.settings import Settings
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)


def serve_metrics(registry: CollectorRegistry, settings: Settings) -> None:
    """Serve ``/metrics`` at NOVA_METRICS_HOST and NOVA_METRICS_PORT where there is a port, to those
    with NOVA_METRICS_TOKEN where there is one; until the process ends.

    Raises SettingsError when the port is taken, or the address is none of this machine.
    """
    host, port, token = settings.metrics_host, settings.metrics_port, settings.metrics_token
    if port is None:
        return
    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(
                f"NOVA_METRICS_HOST={host!r}: {error.strerror or error}; an address of this "
                "machine is allowed, such as 127.0.0.1, or 0.0.0.0 for all of them"
            ) from None
        raise SettingsError(
            f"NOVA_METRICS_PORT={port}: {error.strerror or error}; a port that is free, or 0 "
            "for any free one, is allowed (each process of a machine needs its own)"
        ) from None
    if token is not None:
        server.set_app(_guarded(make_wsgi_app(registry), token.get_secret_value()))
    _log.info("metrics", address=f"http://{host}:{server.server_port}/metrics")


def _guarded(app: WSGIApplication, token: str) -> WSGIApplication:
    wanted = f"Bearer {token}".encode()

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        given = str(environ.get("HTTP_AUTHORIZATION", "")).encode("latin-1", "replace")
        if hmac.compare_digest(given, wanted):
            return app(environ, start)
        start("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
        return [b"The metrics need NOVA_METRICS_TOKEN, as Authorization: Bearer.\n"]

    return answer
