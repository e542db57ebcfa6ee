"""Paths that routing would read as something else than they say."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from nova_stream.api.problems import ProblemError

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class _Text(PathConvertor):
    """Any text: Starlette's own takes slashes, but no line breaks."""

    regex = "(?s:.*)"


register_url_convertor("path", _Text())


class ExactPaths:
    """Has a path name exactly what it says: escapes that are no UTF-8 name nothing, instead of
    another thing, and a fixed path with a line break behind it, which routing overlooks, is none.
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
            if "\ufffd" in path:
                # With a NUL, which is in no name.
                scope["path"] = _NOT_UTF8.sub("\0", _decoded(scope.get("raw_path") or b"") or path)
            if b"%" in scope["query_string"] and _NOT_UTF8.search(_decoded(scope["query_string"])):
                raise ProblemError(422, "invalid-request", "The query string is not valid UTF-8.")
        await self._app(scope, receive, send)


def _decoded(raw: bytes) -> str:
    """Unescaped text, bytes that are no UTF-8 as lone surrogates."""
    data = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), raw)
    return data.decode("utf-8", "surrogateescape")
