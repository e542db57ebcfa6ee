"""A request's token is found in one way: who is admitted by a token is counted and told by it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_stream.api.app import create_app
from nova_stream.api.auth.access import ACCESS
from nova_stream.api.budget.budget import CALLER
from nova_stream.settings import load_settings
from nova_stream.storage.access.tokens import digest_of

#: Two tokens that may do everything, with all letters that a secret may have.
SECRETS = {"one": "aA0-._~+/=one", "two": "two/api/query"}
SCOPES = "metrics+stats+documents+publish+admin"
APP = create_app(
    load_settings(
        database_url="postgresql://nova@127.0.0.1:1/nova",
        kafka_brokers="127.0.0.1:1",
        api_tokens=",".join(f"{name}:{SCOPES}:{secret}" for name, secret in SECRETS.items()),
        api_rate=0,
    )
)
ADDRESS = "192.0.2.7"
#: Routes that answer without Postgres; {} is where a token may stand.
PATHS = ("/api/v1/token", "/metrics", "/api/query", "/c/{}/api/query", "/c/{}/api/mutation")
HEADERS = (
    "Bearer {}",
    "bearer {}",
    "BEARER  {} ",
    "Convex {}",
    "convex {}:eyJpZGVudGl0eSI6MX0=",
    "Bearer {}:identity",
    "Basic {}",
    "{}",
    "Bearer",
)


def asked(path: str, *headers: str) -> dict[str, Any]:
    """The scope of such a request once it has been answered, with its ``status``."""
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET" if path in PATHS[:2] else "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "client": (ADDRESS, 1),
        "server": ("127.0.0.1", 8600),
        "headers": [(b"host", b"127.0.0.1"), *((b"authorization", h.encode()) for h in headers)],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"path": "a:b", "args": {}}'}

    async def send(message: dict[str, Any]) -> None:
        scope.setdefault("status", message.get("status"))

    asyncio.run(APP(scope, receive, send))  # type: ignore[arg-type]
    return scope


def agrees(scope: dict[str, Any]) -> str | None:
    """The name of the token by which the request was admitted; it is counted by the same, and by
    its address when it was not.
    """
    caller = scope[ACCESS].caller
    if caller is None:
        assert scope["status"] == 401
        assert scope[CALLER] == ADDRESS
        return None
    assert scope["status"] != 401
    assert scope[CALLER] == digest_of(SECRETS[caller.name])
    return str(caller.name)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("path", PATHS)
def test_each_way_to_present_a_token_counts_by_it(path: str, header: str) -> None:
    for in_path, in_header in itertools.product(SECRETS, SECRETS):
        scope = asked(path.format(SECRETS[in_path]), header.format(SECRETS[in_header]))
        by_header = (
            in_header if header.split(maxsplit=1)[0].lower() in {"bearer", "convex"} else None
        )
        expected = in_path if "{}" in path else by_header if "{}" in header else None
        assert agrees(scope) == expected


def test_what_an_unknown_address_says_of_tokens_is_not_made_good_by_a_header() -> None:
    assert agrees(asked("/c/nobody/api/query", f"Bearer {SECRETS['one']}")) is None


WORDS = st.sampled_from(
    [
        "",
        " ",
        "\t",
        ":",
        "/",
        "api",
        "query",
        "Bearer",
        "convex",
        "Basic",
        ",",
        "é",
        *SECRETS.values(),
    ]
)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(PATHS),
    st.lists(WORDS, max_size=4),
    st.lists(st.lists(WORDS, max_size=5), max_size=2),
)
def test_who_is_admitted_by_a_token_is_counted_by_it(
    path: str, middle: list[str], headers: list[list[str]]
) -> None:
    agrees(asked(path.format("".join(middle) or "x"), *("".join(words) for words in headers)))
