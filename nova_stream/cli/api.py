"""``nova-stream api``."""

from __future__ import annotations

from typing import Annotated

import typer

from nova_stream.cli.start import prepare_long_run


def api(
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port; 0 = any free one.")
    ] = 8600,
    tls_cert: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Chain of certificates, PEM; else NOVA_API_TLS_CERT."),
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its key, PEM; else NOVA_API_TLS_KEY.")
    ] = None,
) -> None:
    """Serve the HTTP API and the dashboard, over TLS where there is a certificate.

    Without a token (NOVA_API_TOKEN, NOVA_API_TOKENS, `nova-stream tokens create`) it serves
    127.0.0.1 only.
    """
    settings = prepare_long_run("nova-stream-api")
    from nova_stream.api.server import serve

    given = {"api_tls_cert": tls_cert, "api_tls_key": tls_key}
    settings = settings.model_copy(update={name: v for name, v in given.items() if v is not None})
    settings.check_tls()
    serve(settings, host, port)
