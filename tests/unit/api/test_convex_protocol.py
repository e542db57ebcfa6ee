"""Requests in Convex's HTTP protocol, without a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.api.app import create_app
from nova_stream.api.convex.errors import RequestError
from nova_stream.api.convex.protocol import read_request
from nova_stream.settings import load_settings

JSON = "application/json"
CALL = {"path": "dashboard:getOverviewStats", "args": {}}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    settings = load_settings(
        database_url="postgresql://nova:hidden-password@127.0.0.1:1/nova",
        kafka_brokers="127.0.0.1:1",
        api_tokens="reader:read+metrics:r+/=,writer:publish:w",
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://nova.example") as found,
    ):
        yield found


@pytest.mark.parametrize(
    ("body", "path", "args", "format_"),
    [
        ('{"path": "a:b", "args": {}}', "a:b", [{}], "json"),
        ('{"path": "a.js:b", "args": [{"x": 1}], "format": null}', "a:b", [{"x": 1}], "json"),
        ('{"path": "a/b", "args": [], "format": "json"}', "a/b:default", [], "json"),
        (
            '{"path": "a:b", "args": {}, "format": "convex_encoded_json", "more": 1}',
            "a:b",
            [{}],
            "convex_encoded_json",
        ),
        (
            '{"path": "a:b", "args": {}, "format": "convex_json"}',
            "a:b",
            [{}],
            "convex_encoded_json",
        ),
    ],
)
def test_calls_are_read(body: str, path: str, args: list[Any], format_: str) -> None:
    found = read_request(body.encode(), "application/json; charset=utf-8")
    assert (found.path, found.args, found.format) == (path, args, format_)


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{}", JSON, "BadJsonBody"),
        (b"", JSON, "BadJsonBody"),
        (b"[]", JSON, "BadJsonBody"),
        (b"\xff", JSON, "BadJsonBody"),
        (b'{"path": 1, "args": {}}', JSON, "BadJsonBody"),
        (b'{"path": "a:b"}', JSON, "BadJsonBody"),
        (b'{"path": "a:b", "args": "x"}', JSON, "BadJsonBody"),
        (b"[" * 100_000, JSON, "BadJsonBody"),
        (b'{"path": "a:b", "args": {}}', None, "BadJsonBody"),
        (b'{"path": "a:b", "args": {}}', "text/plain", "BadJsonBody"),
        (b'{"path": "a b", "args": {}}', JSON, "BadConvexFunctionIdentifier"),
        (b'{"path": "", "args": {}}', JSON, "BadConvexFunctionIdentifier"),
        (b'{"path": "a:b\\n", "args": {}}', JSON, "BadConvexFunctionIdentifier"),
        (b'{"path": "a:b", "args": {}, "format": "xml"}', JSON, "BadFormat"),
        (b'{"path": "a:b", "args": {}, "format": 1}', JSON, "BadFormat"),
    ],
)
def test_what_is_no_call(body: bytes, content_type: str | None, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_request(body, content_type)
    assert refused.value.code == code


@given(st.binary(max_size=200), st.text(max_size=60) | st.just(JSON))
def test_whatever_comes_is_read_or_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(RequestError):
        read_request(body, content_type)


async def test_a_request_that_is_no_call_is_told_as_convex_does(client: httpx.AsyncClient) -> None:
    response = await client.post("/c/w/api/mutation", content=b"{", headers={"Content-Type": JSON})
    assert response.status_code == 400
    assert response.headers["content-type"] == JSON
    assert response.json().keys() == {"code", "message"}


@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_another_method(client: httpx.AsyncClient, kind: str) -> None:
    for path in (f"/api/{kind}", f"/c/w/api/{kind}"):
        response = await client.get(path)
        assert response.status_code == 405
        assert response.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    ("kind", "prefix", "authorization", "status"),
    [
        ("query", "", None, 401),
        ("query", "", "Bearer r+/=", 503),
        ("query", "", "Convex r+/=", 503),
        ("query", "", "Convex r+/=:aWRlbnRpdHk=", 503),
        ("query", "", "Basic r+/=", 401),
        ("query", "", "Bearer w", 403),
        ("mutation", "", "Bearer r+/=", 403),
        ("mutation", "", "Convex r+/=", 403),
        ("query", "/c/r+%2F=", None, 503),
        ("query", "/c/r+%2F=", "Bearer a.user.of-the-main-app", 503),
        ("query", "/c/r+/=", None, 503),
        ("query", "/c/w", "Bearer r+/=", 403),
        ("query", "/c/x", None, 401),
        ("mutation", "/c/r+%2F=", None, 403),
    ],
)
async def test_scopes(
    client: httpx.AsyncClient, kind: str, prefix: str, authorization: str | None, status: int
) -> None:
    # 503: it may, and Postgres is away.
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await client.post(f"{prefix}/api/{kind}", json=CALL, headers=headers)
    assert response.status_code == status, response.text
    assert "hidden-password" not in response.text


async def test_a_token_in_the_address_is_not_shown(
    client: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    await client.post("/c/r+%2F=/api/query", json=CALL)
    await client.post("/c/r+%2F=/api/query", content=b"")
    missing = await client.get("/c/s3cret/api/elsewhere")
    assert missing.status_code == 404
    assert "s3cret" not in missing.text
    metrics = (await client.get("/metrics", headers={"Authorization": "Bearer r+/="})).text
    assert 'route="/c/{token:path}/api/query"' in metrics
    captured = capfd.readouterr()
    for text in (metrics, captured.out, captured.err):
        assert "r+/=" not in text
        assert "s3cret" not in text


async def test_a_function_that_is_none_needs_no_database(client: httpx.AsyncClient) -> None:
    response = await client.post("/c/w/api/mutation", json={"path": "a:b", "args": {}})
    assert response.status_code == 200
    body = response.json()
    assert body["error"] == "Could not find public function for 'a:b'."
    assert (body["status"], body["success"]) == ("error", False)
