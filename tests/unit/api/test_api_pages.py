"""The server answers the dashboard's addresses, and only those, as the page's router names them."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from nova_stream.api import pages
from tests.unit.api.test_api_app import client

__all__ = ["client"]

STATIC = Path(pages.__file__).parent / "static"
#: Parameters of the router, and those of the server that stand for texts with slashes.
_PARAMETER = re.compile(r":\w+|\{\w+(?::path)?\}")


def shape(address: str) -> str:
    return _PARAMETER.sub("*", address)


def routed() -> set[str]:
    script = (STATIC / "app.js").read_text(encoding="utf-8")
    table = re.search(r"const ROUTES = \[(.*?)\n\];", script, re.DOTALL)
    assert table is not None
    return set(re.findall(r'\["(/[^"]*)", \w+\]', table[1]))


def test_server_and_router_have_the_same_addresses() -> None:
    served = {shape(route.path) for route in pages.router.routes if route.path != "/docs"}  # type: ignore[attr-defined]
    assert served == {shape(address) for address in routed()}


@pytest.mark.parametrize("address", sorted(routed()))
async def test_an_address_is_the_page_whatever_its_entity_is_called(
    client: httpx.AsyncClient, address: str
) -> None:
    response = await client.get(_PARAMETER.sub("7", address), params={"q": "x"})
    assert response.status_code == 200
    assert response.text == (STATIC / "index.html").read_text(encoding="utf-8")
    assert "script-src 'self'" in response.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["a%2Fb", "%F0%9F%98%80", "x%0Ay", "a%3Fb"])
async def test_any_name_is_in_an_address(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/agents/{name}")).status_code == 200


@pytest.mark.parametrize("address", ["/nothing", "/jobs/a/b", "/stream/x", "/index.html"])
async def test_other_addresses_are_not_there(client: httpx.AsyncClient, address: str) -> None:
    told = await client.get(address)
    assert (told.status_code, told.headers["content-type"]) == (404, "application/problem+json")
    shown = await client.get(address, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (shown.status_code, shown.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert shown.text == (STATIC / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("address", ["/api/v1/nothing", "/api", "/static/no.js", "/health/x"])
async def test_where_no_pages_are_a_browser_is_told_a_problem(
    client: httpx.AsyncClient, address: str
) -> None:
    told = await client.get(address, headers={"Accept": "text/html"})
    assert (told.status_code, told.headers["content-type"]) == (404, "application/problem+json")
