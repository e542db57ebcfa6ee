"""The address of a mail server, as NOVA_SMTP_URL has it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_PORTS = {"smtp": 587, "smtps": 465}


class MailServer(NamedTuple):
    """Where mail is handed in.

    ``encrypted``: TLS from the first byte; else STARTTLS where the server offers it, which it must
    where there is a password.
    """

    host: str
    port: int
    encrypted: bool
    user: str | None
    password: str | None


def mail_server(url: str) -> MailServer:
    """The server of ``smtp://USER:PASSWORD@HOST:PORT`` or ``smtps://...``.

    User and password may be left out, and the port (587, smtps 465). Raises ValueError, without
    the address in its text.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("a port from 1 to 65535 is allowed") from None
    plain = not (parts.path.strip("/") or parts.query or parts.fragment)
    if parts.scheme not in _PORTS or not parts.hostname or not plain or port == 0:
        raise ValueError("smtp://USER:PASSWORD@HOST:PORT or smtps://... is allowed")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("a user and a password are allowed, or neither")
    return MailServer(
        parts.hostname,
        port or _PORTS[parts.scheme],
        parts.scheme == "smtps",
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )
