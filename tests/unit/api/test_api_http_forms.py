"""What HTTP allows beside the plain GET and POST: HEAD, OPTIONS, packed bodies, odd paths, CORS."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from nova_stream.api.app import create_app
from nova_stream.api.request_encoding import RequestEncoding
from nova_stream.errors import SettingsError
from nova_stream.settings import load_settings
from tests.unit.api.test_api_app import NOWHERE, connect

EVENT = {"entity": "tasks", "after": {"id": "t-1", "status": "odd"}}
TOKEN = {"Authorization": "Bearer all"}


def app(**more: Any) -> FastAPI:
    return create_app(load_settings(**NOWHERE, api_token="all", **more))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with connect(app(), "http://nova.example") as found:
        yield found


def get_paths() -> list[str]:
    paths = app().openapi()["paths"]
    return [
        path.replace("{runId}", "1").replace("{id}", "1").replace("{name}", "MARS")
        for path, methods in paths.items()
        if "get" in methods
    ]


@pytest.mark.parametrize(
    "path", [*get_paths(), "/", "/docs", "/openapi.json", "/static/app.js", "/nothing"]
)
async def test_head_is_answered_as_get_without_a_body(client: httpx.AsyncClient, path: str) -> None:
    if path == "/api/v1/stream":
        return  # whose GET does not end
    for headers in (TOKEN, {}):
        got = await client.get(path, headers=headers)
        head = await client.head(path, headers=headers)
        assert head.status_code == got.status_code
        assert head.content == b""
        volatile = {"date", "retry-after"}
        if path != "/metrics":  # which counts these two
            assert [h for h in head.headers.items() if h[0] not in volatile] == [
                h for h in got.headers.items() if h[0] not in volatile
            ]


async def test_head_of_a_stream_ends(client: httpx.AsyncClient) -> None:
    response = await client.head("/api/v1/stream", headers=TOKEN)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    metrics = (await client.get("/metrics", headers=TOKEN)).text
    assert "nova_api_streams 0.0" in metrics
    assert 'method="HEAD",route="/api/v1/stream"' in metrics


async def test_options_and_405_tell_what_is_possible(client: httpx.AsyncClient) -> None:
    for path, allowed in (
        ("/health/live", "GET, HEAD, OPTIONS"),
        ("/api/v1/overview", "GET, HEAD, OPTIONS"),
        ("/static/app.js", "GET, HEAD, OPTIONS"),
        ("/api/v1/events", "OPTIONS, POST"),
        ("/api/query", "OPTIONS, POST"),
    ):
        told = await client.options(path)
        assert (told.status_code, told.content, told.headers["allow"]) == (204, b"", allowed)
        for method in ("DELETE", "PATCH", "MADEUP"):
            refused = await client.request(method, path, headers=TOKEN)
            assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert (await client.options("/nothing")).status_code == 404


async def test_made_up_methods_make_one_label(client: httpx.AsyncClient) -> None:
    for number in range(20):
        await client.request(f"MADE{number}", "/health/live")
        await client.request(f"MADE{number}", f"/nothing/{number}")
    metrics = (await client.get("/metrics", headers=TOKEN)).text
    assert "MADE" not in metrics
    assert 'method="other",route="/health/live",status="405"} 20.0' in metrics


# -- packed bodies ---------------------------------------------------------------------------------


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def in_members(data: bytes) -> bytes:
    return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP", in_members),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("identity", bytes),
]


@pytest.mark.parametrize(("coding", "pack"), PACKERS)
async def test_a_packed_body_is_read(
    client: httpx.AsyncClient, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = json.dumps({"path": "no:such", "args": {}, "format": "odd"}).encode()
    headers = {**TOKEN, "Content-Encoding": coding, "Content-Type": "application/json"}
    called = await client.post("/api/query", content=pack(body), headers=headers)
    assert (called.status_code, called.json()["code"]) == (400, "BadFormat")
    body = json.dumps(EVENT).encode()
    sent = await client.post("/api/v1/events", content=pack(body), headers=headers)
    assert (sent.status_code, sent.json()["reason"]) == (422, "bad_status")


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "odd"])
async def test_another_encoding_is_refused_and_the_possible_ones_are_named(
    client: httpx.AsyncClient, coding: str
) -> None:
    for path in ("/api/v1/events", "/api/query", "/api/v1/jobs/healthCheck/run"):
        headers = {**TOKEN, "Content-Encoding": coding}
        response = await client.post(path, content=b"{}", headers=headers)
        assert response.status_code == 415
        assert response.headers["accept-encoding"] == "gzip, deflate"
        assert response.json()["type"] == "urn:nova-stream:unsupported-encoding"


#: Without the time in it, so that the tests' names are the same in every process.
PACKED = gzip.compress(b"{}", mtime=0)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"\x1f\x8b",
        PACKED[:-9],
        PACKED[:-1],
        PACKED + b"{}",
        PACKED[:-8] + b"\0" * 8,
    ],
)
async def test_what_is_no_gzip_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {**TOKEN, "Content-Encoding": "gzip"}
    response = await client.post("/api/v1/events", content=body, headers=headers)
    assert (response.status_code, response.json()["type"]) == (400, "urn:nova-stream:bad-encoding")


async def test_a_bomb_is_refused_at_the_bound_of_plain_bodies(client: httpx.AsyncClient) -> None:
    for path, megabytes in (("/api/v1/events", 32), ("/api/query", 4)):
        bomb = gzip.compress(b" " * ((megabytes << 20) + 1))
        headers = {**TOKEN, "Content-Encoding": "gzip"}
        response = await client.post(path, content=bomb, headers=headers)
        assert (response.status_code, response.json()["type"]) == (413, "urn:nova-stream:too-large")


@given(data=st.data(), text=st.binary(max_size=400), repeat=st.integers(1, 4000))
async def test_whatever_comes_in_whatever_pieces_is_what_was_packed(
    data: st.DataObject, text: bytes, repeat: int
) -> None:
    whole = text * repeat
    coding, pack = data.draw(st.sampled_from(PACKERS))
    packed = pack(whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(packed)), max_size=8)))
    edges = list(zip([0, *cuts], [*cuts, len(packed)], strict=True))
    messages = [
        {"type": "http.request", "body": packed[a:b], "more_body": b < len(packed) or n < len(cuts)}
        for n, (a, b) in enumerate(edges)
    ]
    read: list[bytes] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        read.append(await Request(scope, receive).body())
        await Response()(scope, receive, send)

    async def receive() -> Any:
        return messages.pop(0)

    async def send(_message: Any) -> None: ...

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-encoding", coding.encode()), (b"content-length", b"5")],
    }
    await RequestEncoding(inner)(scope, receive, send)
    assert read == [whole]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (PACKED, "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed with zstd"),
        (json.dumps(EVENT).encode("utf-16"), "UTF-16"),
        (json.dumps(EVENT).encode("utf-16-le"), "UTF-16"),
        (json.dumps(EVENT).encode("utf-16-be"), "UTF-16"),
        (json.dumps(EVENT).encode("utf-32"), "UTF-32"),
    ],
)
async def test_a_body_in_another_form_is_named(
    client: httpx.AsyncClient, body: bytes, says: str
) -> None:
    response = await client.post("/api/v1/events", content=body, headers=TOKEN)
    assert response.status_code == 422
    assert says in response.json()["detail"]


async def test_a_byte_order_mark_is_left_out(client: httpx.AsyncClient) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(EVENT).encode()
    response = await client.post("/api/v1/events", content=body, headers=TOKEN)
    assert response.json()["reason"] == "bad_status"
    twice = await client.post("/api/v1/events", content=b"\xef\xbb\xbf" + body, headers=TOKEN)
    assert "is not JSON" in twice.json()["detail"]


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("GZIP ; Q=0", False),
        ("x-gzip;q=0.", False),
        ("*;q=0", False),
        ("br", False),
        ("identity", False),
    ],
)
async def test_an_answer_is_packed_for_who_takes_that(
    client: httpx.AsyncClient, accepted: str, packed: bool
) -> None:
    response = await client.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert ("content-encoding" in response.headers) is packed


# -- headers of every answer -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [*get_paths(), "/", "/docs", "/openapi.json", "/static/app.js", "/nothing", "/static/no"],
)
async def test_no_answer_is_taken_for_something_else_or_kept_by_chance(
    client: httpx.AsyncClient, path: str
) -> None:
    asked = [
        (method, headers)
        for method in ("GET", "HEAD", "POST", "OPTIONS")
        for headers in (TOKEN, {}, {"Authorization": "Bearer nobody"})
    ]
    for method, headers in asked:
        if (method, path, headers) == ("GET", "/api/v1/stream", TOKEN):
            continue  # which does not end
        answer = await client.request(method, path, headers=headers)
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        (caching,) = answer.headers.get_list("cache-control")
        if answer.headers.get("content-type", "").startswith("application/problem+json"):
            assert caching == "no-store"
        assert caching in {"no-store", "no-cache", "private, no-cache"}


async def test_a_failure_of_ours_has_the_same_headers() -> None:
    broken = app(api_cors_origins="https://app.example")

    @broken.get("/broken")
    async def fail() -> None:
        raise RuntimeError

    async with connect(broken, "http://nova.example") as client:
        for path in ("/broken", "/api/v1/overview"):
            answer = await client.get(path, headers={**TOKEN, "Origin": "https://app.example"})
            assert answer.status_code in {500, 503}
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"


# -- paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/builds/stats%0A", "/api/v1/agents/x/stats%0a"])
async def test_a_line_break_behind_a_fixed_path_is_no_part_of_it(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path, headers=TOKEN)
    assert response.status_code == 404
    assert "/api/v1/build?id=" in response.json()["detail"]


async def test_an_escape_that_is_no_utf8_names_nothing(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/builds/%FF", "/api/v1/agents/a%C3/stats", "/api/v1/builds/%ED%A0%80"):
        response = await client.get(path, headers=TOKEN)
        assert response.status_code == 404  # and Postgres, which is away, is not asked
        assert response.json()["type"].startswith("urn:nova-stream:unknown-")
    assert (await client.get("/api/v1/build?id=%FF", headers=TOKEN)).status_code == 422
    for path in ("/api/v1/builds/%EF%BF%BD", "/api/v1/build?id=%EF%BF%BD%25"):
        assert (await client.get(path, headers=TOKEN)).status_code == 503


# -- other origins ---------------------------------------------------------------------------------

PAGE = "https://app.example"
ASKS = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, convex-client",
}


async def test_no_other_origin_may_read_unless_it_is_named(client: httpx.AsyncClient) -> None:
    for response in (
        await client.options("/api/query", headers=ASKS),
        await client.get("/health/live", headers={"Origin": PAGE}),
    ):
        assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origins", [PAGE, f"http://localhost:3000, {PAGE}", "*"])
@pytest.mark.parametrize("path", ["/api/query", "/c/all/api/query", "/api/v1/stream"])
async def test_a_named_origin_may_ask_with_a_token(origins: str, path: str) -> None:
    async with connect(app(api_cors_origins=origins), "http://nova.example") as client:
        before = await client.options(path, headers=ASKS)
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] in {PAGE, "*"}
        assert "POST" in before.headers["access-control-allow-methods"]
        allowed = before.headers["access-control-allow-headers"].lower()
        assert {"authorization", "convex-client"} <= set(allowed.replace(",", " ").split())
        assert "access-control-allow-credentials" not in before.headers
        for answer in (
            await client.head(path, headers={"Origin": PAGE, **TOKEN}),
            await client.post(path, headers={"Origin": PAGE}),
            await client.get("/nothing", headers={"Origin": PAGE}),
        ):
            assert answer.headers["access-control-allow-origin"] in {PAGE, "*"}
            assert "ETag" in answer.headers["access-control-expose-headers"]


async def test_others_than_the_named_origin_may_not() -> None:
    async with connect(app(api_cors_origins=PAGE), "http://nova.example") as client:
        for origin in ("https://evil.example", "null", "http://app.example", f"{PAGE}.evil"):
            before = await client.options("/api/query", headers={**ASKS, "Origin": origin})
            answer = await client.get("/health/live", headers={"Origin": origin})
            for response in (before, answer):
                assert "access-control-allow-origin" not in response.headers


async def test_an_open_api_serves_a_named_origin_and_not_any() -> None:
    for origins, status in ((PAGE, 200), ("*", 403), ("https://other.example", 403)):
        settings = load_settings(**NOWHERE, api_cors_origins=origins)
        async with connect(create_app(settings)) as client:
            answer = await client.get("/health/live", headers={"Origin": PAGE})
            assert answer.status_code == status


@pytest.mark.parametrize(
    "origins", ["app.example", "https://app.example/", "https://app.example/x", "null", "https://*"]
)
def test_what_is_no_origin_is_refused(origins: str) -> None:
    with pytest.raises(SettingsError, match="NOVA_API_CORS_ORIGINS"):
        load_settings(api_cors_origins=origins)


async def test_an_upload_that_is_cut_off_is_no_error() -> None:
    application = app()
    sent: list[Any] = []
    messages = [
        {"type": "http.request", "body": b"[", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/events",
        "query_string": b"",
        "headers": [(b"host", b"nova.example"), (b"authorization", b"Bearer all")],
        "scheme": "http",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    with capture_logs() as logs:
        await application(scope, receive, send)
    assert (sent, logs) == ([], [])
    async with connect(application, "http://nova.example") as client:
        metrics = (await client.get("/metrics", headers=TOKEN)).text
    assert 'method="POST",route="/api/v1/events",status="cut off"} 1.0' in metrics
