"""The pages: the dashboard and the API's documentation, without any address outside the server."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: Swagger UI has styles in its elements.
_SWAGGER_POLICY = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

router = APIRouter(include_in_schema=False)


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }


class _Files(StaticFiles):
    """Static files that browsers ask for again, so that a new version is seen at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_headers(_POLICY))
        return response


@router.get("/")
async def start() -> FileResponse:
    """The dashboard."""
    return FileResponse(_STATIC / "index.html", headers=_headers(_POLICY))


@router.get("/docs")
async def docs() -> FileResponse:
    """Swagger UI on /openapi.json."""
    return FileResponse(_STATIC / "docs.html", headers=_headers(_SWAGGER_POLICY))


def install(app: FastAPI) -> None:
    """Serve the pages and their files."""
    app.include_router(router)
    app.mount("/static/swagger", _Files(directory=str(files("fastapi_offline") / "static")))
    app.mount("/static", _Files(directory=_STATIC))
