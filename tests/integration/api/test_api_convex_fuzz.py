"""Whatever is sent to the main app's entrance, the answer is a documented one and no failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nova_stream.api.convex.backend import FUNCTIONS
from nova_stream.api.convex.ids import new_id
from nova_stream.api.convex.validators import Optional
from nova_stream.events.change import Entity
from nova_stream.scopes import SCOPES

from .convex_calls import running_stage, serving

pytestmark = [pytest.mark.integration, pytest.mark.long]

KINDS = ("query", "mutation")
#: Tokens by their scopes: the name is the secret.
TOKENS = f"all:{'+'.join(SCOPES)}:all," + ",".join(f"{scope}:{scope}:{scope}" for scope in SCOPES)
ALL = {"Authorization": "Bearer all"}
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "running",
        "done",
        "failed",
        "2026-02-20T12:00:00.000Z",
        "1771588800000",
        "\x00",
        "x" * 3000,
    ]
)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([0, 1, -1, 0.5, 1e300])
SPECIAL = st.dictionaries(
    st.sampled_from(["$integer", "$float", "$bytes", "$set", "$", "a"]),
    st.none() | st.text("ABC/+=8", max_size=16) | NUMBERS,
    max_size=2,
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | SPECIAL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
#: Ids of all tables, of documents that are there and of none.
IDS = st.sampled_from([*(new_id(entity, 1) for entity in Entity if entity != Entity.USERS), "b-1"])
FIELDS = sorted(
    {name for function in FUNCTIONS.values() for s in function.shapes for name in s.fields.fields}
)
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def client(
    nova_kafka: str, nova_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    with (
        running_stage(nova_kafka, nova_postgres, folder) as stage,
        serving(stage, folder, api_rate="0", api_tokens=TOKENS) as address,
        httpx.Client(base_url=address, timeout=30, headers=ALL) as found,
    ):
        build = {
            "id": "b-1",
            "prdId": "p",
            "status": "running",
            "startedAt": "2026-02-20T12:00:00Z",
        }
        event = {"entity": "builds", "after": build}
        assert found.post("/api/v1/events", json=event).status_code == 202
        asyncio.run(stage.row("builds", "b-1"))
        yield found


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def check(response: httpx.Response, document: dict[str, Any], kind: str) -> None:
    """The answer is one of those that the document has for this route."""
    assert response.status_code < 500, response.text
    described = document["paths"][f"/api/{kind}"]["post"]["responses"]
    assert str(response.status_code) in described, response.text
    content = described[str(response.status_code)]["content"]
    (media_type,) = content
    assert response.headers["content-type"] == media_type
    schema = {**content[media_type]["schema"], "components": document["components"]}
    jsonschema.validate(response.json(), schema)


@FUZZ
@given(
    kind=st.sampled_from(KINDS),
    body=st.binary(max_size=300),
    content_type=st.sampled_from(["application/json", "text/plain", "application/x-json", ""]),
)
def test_any_bytes(
    client: httpx.Client, document: dict[str, Any], kind: str, body: bytes, content_type: str
) -> None:
    headers = {"Content-Type": content_type}
    response = client.post(f"/api/{kind}", content=body, headers=headers)
    assert response.status_code == 400
    check(response, document, kind)


@FUZZ
@given(kind=st.sampled_from(KINDS), body=VALUES)
def test_any_json(client: httpx.Client, document: dict[str, Any], kind: str, body: Any) -> None:
    check(send(client, kind, body), document, kind)


@FUZZ
@given(st.data())
def test_any_arguments(client: httpx.Client, document: dict[str, Any], data: st.DataObject) -> None:
    function = FUNCTIONS[data.draw(st.sampled_from(sorted(FUNCTIONS)))]
    fields = st.sampled_from(FIELDS) | TEXTS
    argument = data.draw(st.dictionaries(fields, VALUES | IDS, max_size=6))
    args = data.draw(st.sampled_from([argument, [argument], [], [argument, argument]]))
    body = {"path": function.path, "args": args}
    check(send(client, data.draw(st.sampled_from(KINDS)), body), document, function.kind)


@FUZZ
@given(st.data())
def test_arguments_that_fit(
    client: httpx.Client, document: dict[str, Any], data: st.DataObject
) -> None:
    function = FUNCTIONS[data.draw(st.sampled_from(sorted(FUNCTIONS)))]
    shape = data.draw(st.sampled_from(function.shapes))
    argument = {}
    for name, field in shape.fields.fields.items():
        if not isinstance(field, Optional):
            argument[name] = data.draw(fitting(field.text))
        elif data.draw(st.booleans()):
            argument[name] = data.draw(fitting(field.validator.text))
    format_ = data.draw(st.sampled_from(["json", "convex_encoded_json", None]))
    body = {"path": function.path, "args": argument, "format": format_}
    check(send(client, function.kind, body), document, function.kind)


def _is_json(argument: object) -> bool:
    """Whether it holds no infinite number: Python writes those as words that JSON does not know."""
    try:
        json.dumps(argument, allow_nan=False)
    except ValueError:
        return False
    return True


@FUZZ
@given(
    path=st.sampled_from([*sorted(FUNCTIONS), "nowhere:nothing"]),
    kind=st.sampled_from(KINDS),
    scope=st.sampled_from(SCOPES),
    in_path=st.booleans(),
    argument=st.dictionaries(st.sampled_from(FIELDS), VALUES | IDS, max_size=4).filter(_is_json),
)
def test_each_function_asks_for_its_scope(
    client: httpx.Client,
    document: dict[str, Any],
    path: str,
    kind: str,
    scope: str,
    in_path: bool,
    argument: dict[str, Any],
) -> None:
    needed = {"publish"} if kind == "mutation" else {"stats", "documents"}
    function = FUNCTIONS.get(path)
    if function is not None and function.kind == kind:
        needed = {function.scope}
    response = client.post(
        f"/c/{scope}/api/{kind}" if in_path else f"/api/{kind}",
        content=json.dumps({"path": path, "args": argument}),
        headers={
            "Content-Type": "application/json",
            "Authorization": "" if in_path else f"Bearer {scope}",
        },
    )
    assert (response.status_code != 403) == (scope in needed), response.text
    check(response, document, kind)


def fitting(text: str) -> st.SearchStrategy[Any]:
    """Values of a validator, mostly such as functions can work with."""
    if text.startswith("v.union"):
        return st.sampled_from([part.split('"')[0] for part in text.split('v.literal("')[1:]])
    plain: dict[str, st.SearchStrategy[Any]] = {
        "v.string()": TEXTS.filter(lambda found: "\x00" not in found),
        "v.float64()": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5),
        "v.boolean()": st.booleans(),
        "v.any()": VALUES,
        "v.array(v.string())": st.lists(TEXTS, max_size=3),
    }
    if text.startswith("v.id"):
        return IDS | TEXTS
    return plain.get(text, st.just({}))


def send(client: httpx.Client, kind: str, body: Any) -> httpx.Response:
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    headers = {"Content-Type": "application/json"}
    return client.post(f"/api/{kind}", content=content, headers=headers)
