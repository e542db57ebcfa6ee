"""The sources that can be compared, by their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from nova_stream.deployment_url import deployment_url
from nova_stream.errors import UsageError
from nova_stream.events.change import Entity
from nova_stream.settings import Settings
from nova_stream.source_audit.convex import ConvexSource
from nova_stream.source_audit.interface import SourceTables
from nova_stream.source_audit.postgres import PostgresSource


def open_source(
    url: str, tables: Mapping[Entity, str], settings: Settings
) -> AbstractAsyncContextManager[SourceTables]:
    """The source at ``url``, to be entered; ``tables`` name those that are called otherwise.

    ``convex`` is the deployment at NOVA_CONVEX_URL, and so is its address. Raises UsageError for an
    address of another kind, without showing it.
    """
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme in {"postgresql", "postgres"}:
        return PostgresSource(url, tables)
    if url == "convex":
        return ConvexSource(settings, tables)
    if scheme in {"http", "https"}:
        return ConvexSource(_at(settings, url), tables)
    raise UsageError(
        "--source: postgresql://user:password@host:port/database is allowed, or convex for the "
        "deployment at NOVA_CONVEX_URL"
    )


def _at(settings: Settings, url: str) -> Settings:
    """The settings, with the deployment at ``url``: the key must go to no other."""
    try:
        address = deployment_url(url)
    except ValueError as error:
        raise UsageError(f"--source: {error}") from None
    if settings.convex_url not in {None, address}:
        raise UsageError(
            f"--source {address}: the key in NOVA_CONVEX_KEY is that of {settings.convex_url}; set "
            "NOVA_CONVEX_URL and NOVA_CONVEX_KEY for this deployment"
        )
    return settings.model_copy(update={"convex_url": address})
