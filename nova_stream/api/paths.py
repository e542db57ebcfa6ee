"""Paths that routing would read as something else than they say."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from nova_stream.api.problems import ProblemError

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class _Text(Convertor[str]):
    """Any text, slashes and line breaks included: a name or an id in a path, ``{name:text}``."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """The text as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The text as it is."""
        return value


register_url_convertor("text", _Text())


class ExactPaths:
    """Refuses paths whose escapes are no UTF-8, which would name something else, and fixed paths
    with a line break behind them, which routing overlooks.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[str]) -> None:
        self._app = app
        self._fixed_ends = {route.rpartition("/")[2] for route in routes if route[-1] != "}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.endswith("\n") and path[:-1].rpartition("/")[2] in self._fixed_ends:
                raise ProblemError(
                    404,
                    None,
                    "There is nothing at this path, which ends with a line break; a name that ends "
                    "so goes into the query: /api/v1/build?id=, /api/v1/agent/stats?name=.",
                )
            if "\ufffd" in path and not _is_utf8(scope.get("raw_path") or b""):
                raise ProblemError(400, "bad-path", "The path's escapes are no UTF-8.")
        await self._app(scope, receive, send)


def _is_utf8(raw: bytes) -> bool:
    try:
        _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), raw).decode()
    except UnicodeDecodeError:
        return False
    return True
