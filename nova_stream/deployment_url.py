"""Where a Convex deployment is: its address, checked before a key goes there."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def deployment_url(value: str) -> str:
    """The address of a Convex deployment in one form: no slash at its end.

    Raises ValueError that says what is allowed: the key goes there, so that it must be https, but
    in a network of one's own.
    """
    parts = urlsplit(value.strip())
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in {"http", "https"} or not host or not plain:
        raise ValueError("the deployment URL, such as https://happy-otter-123.convex.cloud")
    if host.endswith(".convex.site"):
        raise ValueError("the deployment URL ends in .convex.cloud; .convex.site is HTTP actions'")
    if parts.scheme == "http" and not is_private(host):
        raise ValueError("https:// is allowed; http:// only in a network of one's own")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_private(host: str) -> bool:
    """Whether a host is this machine or one that is not reached over the internet."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))
    return address.is_private


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
