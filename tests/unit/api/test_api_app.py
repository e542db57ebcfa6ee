"""The API without Postgres and Kafka: who gets in, and what is answered when nothing is there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from nova_stream.api.app import create_app
from nova_stream.api.auth.stored_tokens import StoredTokens
from nova_stream.settings import load_settings

#: Where nothing listens.
NOWHERE: dict[str, Any] = {
    "database_url": "postgresql://nova:hidden-password@127.0.0.1:1/nova",
    "kafka_brokers": "127.0.0.1:1",
}
PROTECTED = (
    ("GET", "/api/v1/agents/stats"),
    ("GET", "/api/v1/agents/MARS/stats"),
    ("GET", "/api/v1/builds/stats"),
    ("GET", "/api/v1/overview"),
    ("GET", "/api/v1/builds"),
    ("GET", "/api/v1/builds/b1"),
    ("GET", "/api/v1/activity"),
    ("GET", "/api/v1/stream"),
    ("POST", "/api/v1/events"),
    ("GET", "/metrics"),
)


def connect(app: FastAPI, base_url: str = "http://127.0.0.1:8600") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base_url)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with connect(create_app(load_settings(**NOWHERE))) as found:
        yield found


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    settings = load_settings(**NOWHERE, api_tokens="reader:read+metrics:r,writer:publish:w")
    async with connect(create_app(settings), "http://nova.example") as found:
        yield found


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_no_token(guarded: httpx.AsyncClient, method: str, path: str) -> None:
    response = await guarded.request(method, path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_another_scope(guarded: httpx.AsyncClient, method: str, path: str) -> None:
    token = "w" if method == "GET" else "r"
    headers = {"Authorization": f"Bearer {token}"}
    assert (await guarded.request(method, path, headers=headers)).status_code == 403


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic cjpy", "r", "Bearer \xff"])
async def test_odd_headers(guarded: httpx.AsyncClient, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    response = await guarded.get("/api/v1/overview", headers=headers)  # type: ignore[arg-type]
    assert response.status_code == 401


def test_every_route_is_protected_but_health() -> None:
    document = create_app(load_settings(**NOWHERE)).openapi()
    open_ = {
        path
        for path, methods in document["paths"].items()
        for described in methods.values()
        if not described.get("security")
    }
    assert open_ == {"/health/live", "/health/ready"}


async def test_the_pages_need_no_token(guarded: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/openapi.json", "/health/live"):
        assert (await guarded.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/static/app.js", "/static/style.css"])
async def test_the_pages_name_no_other_server(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 200
    assert "https://" not in response.text
    assert "http://" not in response.text.replace("http://www.w3.org", "")
    assert "default-src 'none'" in response.headers["content-security-policy"]


async def test_swagger_is_served_from_here(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    for path in ("/static/swagger/swagger-ui.css", "/static/swagger/swagger-ui-bundle.js"):
        assert path in page
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/static/nothing")).status_code == 404


async def test_without_postgres(client: httpx.AsyncClient) -> None:
    started = time.monotonic()
    for path in ("overview", "agents/stats", "builds/b1", "agents/stats?after=AXt9"):
        response = await client.get(f"/api/v1/{path}")
        assert response.status_code == 503
        assert response.json()["type"] == "urn:nova-stream:database-unavailable"
        assert "hidden-password" not in response.text
        assert response.headers["retry-after"]
    assert time.monotonic() - started < 5


async def test_readiness_without_anything(client: httpx.AsyncClient) -> None:
    response = await client.get("/health/ready")
    assert response.status_code == 503
    problem = response.json()
    assert problem["checks"] == {"database": "away", "schema": "unknown", "kafka": "away"}
    assert (await client.get("/health/live")).json() == {"status": "live"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8600", "192.168.1.7", ""])
async def test_an_open_api_serves_this_machine_only(client: httpx.AsyncClient, host: str) -> None:
    response = await client.get("/health/live", headers={"Host": host})
    assert response.status_code == 403
    assert "NOVA_API_TOKEN" in response.json()["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8600", "[::1]:8600"])
async def test_names_of_this_machine(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/health/live", headers={"Host": host})).status_code == 200


FORWARDED = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Prefix",
    "X-Real-IP",
    "Via",
)


@pytest.mark.parametrize("name", FORWARDED)
async def test_an_open_api_serves_nothing_that_a_proxy_hands_on(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Whether it is open Postgres has not said: there are no data yet, but probes work.
    assert (await client.get("/health/live", headers={name: ""})).status_code == 200
    assert (await client.get("/api/v1/overview", headers={name: ""})).status_code == 503
    monkeypatch.setattr(StoredTokens, "any", False)
    for path in ("/", "/health/live", "/api/v1/overview", "/metrics", "/nothing"):
        response = await client.get(path, headers={name: ""})
        assert response.status_code == 403
        assert response.json()["type"] == "urn:nova-stream:forwarded"
        assert "NOVA_API_TOKEN" in response.json()["detail"]


async def test_pages_of_other_origins_send_nothing(client: httpx.AsyncClient) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        response = await client.post("/api/v1/events", json=[], headers={"Origin": origin})
        assert response.status_code == 403
    own = await client.get("/health/live", headers={"Origin": "http://127.0.0.1:8600"})
    assert own.status_code == 200


async def test_a_mistake_of_ours_is_no_traceback() -> None:
    app = create_app(load_settings(**NOWHERE))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret")

    async with connect(app) as client:
        response = await client.get("/broken")
    assert response.status_code == 500
    assert response.json()["type"] == "urn:nova-stream:internal"
    assert "secret" not in response.text


async def test_metrics(guarded: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer r"}
    await guarded.get("/api/v1/agents/MARS/stats", headers=headers)
    await guarded.get("/nothing/here")
    text = (await guarded.get("/metrics", headers=headers)).text
    route = 'method="GET",route="/api/v1/agents/{name:path}/stats"'
    assert f'nova_api_requests_total{{{route},status="503"}} 1.0' in text
    assert f"nova_api_request_seconds_count{{{route}}} 1.0" in text
    assert 'route="(none)",status="404"} 1.0' in text
    assert "MARS" not in text


def test_the_openapi_document_is_whole() -> None:
    document = create_app(load_settings(**NOWHERE)).openapi()
    schemas = document["components"]["schemas"]

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(item) for item in value.values()))
        if isinstance(value, list):
            return set().union(*(references(item) for item in value))
        return set()

    names = {f"#/components/schemas/{name}" for name in schemas}
    assert references(document) <= names
    answered = [schema for schema in schemas.values() if "examples" in schema]
    for schema in answered:
        assert set(schema["examples"][0]) >= set(schema["required"])
        assert set(schema["examples"][0]) <= set(schema["properties"])
    assert len(answered) >= 10
