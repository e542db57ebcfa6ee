"""Each route asks for the scope that the documentation names; none can be forgotten."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi.routing import APIRoute

from nova_stream.api import pages
from nova_stream.api.app import create_app
from nova_stream.scopes import SCOPES
from nova_stream.settings import Settings, load_settings

from .conftest import connected

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3] / "docs" / "http-api.md"
#: Pages, which hold nothing that is not in the package, and probes.
OPEN = {"/", "/docs", "/openapi.json", "/health/live", "/health/ready"}
TOKENS = ",".join(f"{scope}:{scope}:{scope}-secret" for scope in SCOPES)
SOMETHING = {"runId": "1", "id": "1"}


class Asked(NamedTuple):
    """A route, as a request names it."""

    method: str
    path: str

    def request(self, token: str | None) -> dict[str, Any]:
        """A request with this token, where the route takes one: in its path or its header."""
        found = re.sub(r":path}", "}", self.path)
        in_path = "{token}" in found
        found = found.replace("{token}", token or "unknown")
        found = re.sub(r"{(\w+)}", lambda match: SOMETHING.get(match[1], "x"), found)
        headers = {"Authorization": f"Bearer {token}"} if token and not in_path else {}
        return {"method": self.method, "url": found, "headers": headers}


def walk(routes: Iterable[Any]) -> Iterator[APIRoute]:
    for route in routes:
        inner = getattr(route, "original_router", None)  # how FastAPI keeps an included router
        if inner is not None:
            yield from walk(inner.routes)
        elif isinstance(route, APIRoute):
            yield route


def asked_routes() -> Iterator[Asked]:
    """Every route of the application but the open ones, asked of the application itself."""
    for route in walk(create_app(load_settings(api_token="t")).routes):
        # The dashboard's addresses all answer with the same file.
        if route.path not in OPEN and route.endpoint is not pages.dashboard:
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield Asked(method, route.path)


def documented() -> dict[tuple[str, str], set[str]]:
    """The scopes that the page's tables name, by method and path: each is enough."""
    rows = re.findall(r"^\| `(GET|POST) (\S+)` \| ([\w ]+) \|", PAGE.read_text(), re.MULTILINE)
    return {
        (method, path): set(SCOPES) if scopes == "any" else set(scopes.split(" or "))
        for method, path, scopes in rows
    }


ROUTES = list(asked_routes())


@pytest.fixture
async def guarded(nova_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    settings = load_settings(
        database_url=nova_settings.database_url, api_tokens=TOKENS, kafka_brokers="127.0.0.1:1"
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app), connected(app) as client:
        yield client


def test_all_routes_are_looked_at() -> None:
    assert len(ROUTES) > 25
    assert Asked("POST", "/api/v1/jobs/{name}/run") in ROUTES


def test_the_page_lists_every_route() -> None:
    shown = {(asked.method, asked.path.replace(":path}", "}")) for asked in ROUTES}
    assert {key for key in documented() if key[1] not in OPEN} == shown


async def test_without_a_token_each_answers_401(guarded: httpx.AsyncClient) -> None:
    for asked in ROUTES:
        response = await guarded.request(**asked.request(None))
        assert response.status_code == 401, asked
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.headers["content-type"] == "application/problem+json"


async def test_with_too_small_a_scope_each_answers_403(guarded: httpx.AsyncClient) -> None:
    scopes = documented()
    for asked in ROUTES:
        needed = scopes[asked.method, asked.path.replace(":path}", "}")]
        for scope in set(SCOPES) - needed:
            response = await guarded.request(**asked.request(f"{scope}-secret"))
            assert response.status_code == 403, (asked, scope)
            assert all(one in response.json()["detail"] for one in needed)


async def test_with_its_scope_each_goes_on(guarded: httpx.AsyncClient) -> None:
    scopes = documented()
    for asked in ROUTES:
        if asked.path.endswith("/stream"):  # without end: test_api_stream
            continue
        needed = scopes[asked.method, asked.path.replace(":path}", "}")]
        for scope in needed:
            response = await guarded.request(**asked.request(f"{scope}-secret"))
            assert response.status_code not in (401, 403), (asked, scope)
