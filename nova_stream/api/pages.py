"""The pages: the dashboard and the API's documentation, without any address outside the server.

Their bytes are read and packed once, and the same for all who are sent them: anybody may ask, as
often as he likes.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from nova_stream.api.compression import is_packable, packed, wants_gzip

_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: Swagger UI has styles in its elements.
_SWAGGER_POLICY = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
#: Headers of a file as it is, which do not hold for its bytes as they are sent.
_OF_FILES = ("content-length", "accept-ranges")

#: The dashboard's addresses; what each shows is the page's own matter, and so is that an entity
#: does not exist. An id that no path can hold (``..``) stands in the query of its short address.
_ADDRESSES = (
    "/",
    "/agents",
    "/agents/{name:path}",
    "/agent",
    "/builds",
    "/builds/{id:path}",
    "/build",
    "/tasks",
    "/tasks/{id:path}",
    "/task",
    "/executions",
    "/executions/{id:path}",
    "/execution",
    "/users",
    "/users/{id:path}",
    "/user",
    "/engagement",
    "/activity",
    "/jobs",
    "/jobs/{name}",
    "/jobs/{name}/runs/{id}",
    "/runs",
    "/dead-letters",
    "/dead-letters/{id}",
    "/alerts",
    "/stream",
    "/trail",
)

router = APIRouter(include_in_schema=False)


class _Page(NamedTuple):
    """The bytes of a page, and packed where that is worth its time."""

    body: bytes
    packed: bytes | None

    @classmethod
    def of(cls, body: bytes, kind: str) -> _Page:
        headers = Headers({"content-type": kind})
        return cls(body, packed(body) if is_packable(headers, len(body)) else None)

    def answer(self, scope: Scope, headers: Mapping[str, str]) -> Response:
        if self.packed is None or not wants_gzip(Headers(scope=scope)):
            return Response(self.body, headers=headers)
        more = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(self.packed, headers={**headers, **more})


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }


@lru_cache(maxsize=256)
def _read(path: str, etag: str, kind: str) -> _Page:
    del etag  # a file that has changed has another one
    return _Page.of(Path(path).read_bytes(), kind)


#: Of threads: those who come while a file is read and packed wait for it.
_reading = Lock()


def _read_once(path: str, etag: str, kind: str) -> _Page:
    with _reading:
        return _read(path, etag, kind)


async def _shared(found: FileResponse, scope: Scope) -> Response:
    """``found`` with the bytes that all are sent."""
    known = found.headers
    page = await asyncio.to_thread(
        _read_once, str(found.path), known["etag"], known["content-type"]
    )
    return page.answer(scope, {name: known[name] for name in known if name not in _OF_FILES})


class _Files(StaticFiles):
    """Static files that browsers ask for again, so that a new version is seen at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_headers(_POLICY))
        return await _shared(response, scope) if isinstance(response, FileResponse) else response


def _file(name: str, policy: str) -> FileResponse:
    path = _STATIC / name
    return FileResponse(path, headers=_headers(policy), stat_result=os.stat(path))  # noqa: PTH116


async def dashboard(request: Request) -> Response:
    """The dashboard, at whichever of its addresses."""
    return await _shared(_file("index.html", _POLICY), request.scope)


#: Where no page is: a wrong address there is told as a problem.
_NO_PAGES = re.compile(r"/(api|docs|health|metrics|openapi|static)\b")


async def missing(request: Request) -> Response | None:
    """The dashboard, which says that there is no such page, for a browser that was sent to a wrong
    address; None for whoever else asks.
    """
    asked = request.method in {"GET", "HEAD"} and not _NO_PAGES.match(request.url.path)
    if not asked or "text/html" not in request.headers.get("accept", ""):
        return None
    page = await dashboard(request)
    page.status_code = 404
    return page


for _address in _ADDRESSES:
    router.add_api_route(_address, dashboard)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI on /openapi.json."""
    return await _shared(_file("docs.html", _SWAGGER_POLICY), request.scope)


def install(app: FastAPI) -> None:
    """Serve the pages and their files, and the OpenAPI document of ``app``."""

    @lru_cache(maxsize=1)
    def document() -> tuple[_Page, dict[str, str]]:
        body = msgspec.json.encode(app.openapi())
        kind = "application/json"
        etag = f'"{blake2b(body, digest_size=9).hexdigest()}"'
        return _Page.of(body, kind), _headers(_POLICY) | {"Content-Type": kind, "ETag": etag}

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        page, headers = document()
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return page.answer(request.scope, headers)

    app.include_router(router)
    app.mount("/static/swagger", _Files(directory=str(files("fastapi_offline") / "static")))
    app.mount("/static", _Files(directory=_STATIC))
