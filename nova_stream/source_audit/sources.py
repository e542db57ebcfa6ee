"""The sources that can be compared, by their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from nova_stream.errors import UsageError
from nova_stream.events.change import Entity
from nova_stream.source_audit.interface import SourceTables
from nova_stream.source_audit.postgres import PostgresSource


def open_source(
    url: str, tables: Mapping[Entity, str]
) -> AbstractAsyncContextManager[SourceTables]:
    """The source at ``url``, to be entered; ``tables`` name those that are called otherwise.

    Raises UsageError for an address of another kind, without showing it.
    """
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme in {"postgresql", "postgres"}:
        return PostgresSource(url, tables)
    raise UsageError("--source: postgresql://user:password@host:port/database is allowed")
