"""Convex's HTTP protocol, for the main app as it is (docs/main-app.md)."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from nova_stream.api.auth.access import UNREADABLE, Confirm, access_of
from nova_stream.api.budget.budget import CALL, within
from nova_stream.api.budget.request_body import read_body
from nova_stream.api.budget.spending import spending_of
from nova_stream.api.convex import protocol
from nova_stream.api.convex.backend import FUNCTIONS
from nova_stream.api.convex.errors import FunctionError, RequestError
from nova_stream.api.convex.functions import Kind
from nova_stream.api.openapi import examples
from nova_stream.api.openapi.responses import answer, answers
from nova_stream.api.state import ApiServices, Services
from nova_stream.scopes import Scope

router = APIRouter(tags=["the main app"], dependencies=[within(CALL)])

#: What a call needs before it is read; each query's own scope is asked for then.
_SCOPES: dict[Kind, tuple[Scope, ...]] = {
    "mutation": ("publish",),
    "query": ("stats", "documents"),
}
_CONFIRM: dict[Kind, Confirm] = {"mutation": "never", "query": "fresh"}
_REQUEST = {
    "type": "object",
    "required": ["path", "args"],
    "properties": {
        "path": {
            "type": "string",
            "pattern": protocol.PATH,
            "description": "The function, as `dashboard:createBuild`.",
        },
        "args": {
            "type": ["object", "array"],
            "description": "Its argument, or a list with it, as Convex writes values in JSON.",
        },
        "format": {
            "type": ["string", "null"],
            "enum": [*protocol.FORMATS, None],
            "description": "How the answer's values are written.",
        },
    },
}


def _documented(kind: Kind) -> dict[str, Any]:
    """A route's part of the OpenAPI document."""
    example = examples.CONVEX_CALLS[kind]
    content = {"schema": _REQUEST, "examples": {"call": {"value": example}}}
    body = {"required": True, "content": {"application/json": content}}
    return {"requestBody": body, "security": [{"token": []}]}


def _responses(description: str) -> dict[int | str, dict[str, Any]]:
    found = answers("ConvexAnswer", description, 404, 413, 504)
    found[400] = {
        "description": "The request is not a valid call; the body has Convex's code and message.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ConvexFailure"}}},
    }
    found[200]["content"]["application/json"]["schema"] = {
        "oneOf": [
            {"$ref": "#/components/schemas/ConvexAnswer"},
            {"$ref": "#/components/schemas/ConvexRefusal"},
        ]
    }
    return found


_Secret = Annotated[
    str, Path(alias="token", description="A token, for clients that send no header.")
]
_QUERY: dict[str, Any] = {
    "openapi_extra": _documented("query"),
    "responses": _responses("What the query found, or why it refused the call."),
}
_MUTATION: dict[str, Any] = {
    "openapi_extra": _documented("mutation"),
    "responses": _responses("The change is applied, or the function refused the call."),
}


@router.post("/api/query", **_QUERY)
async def query(request: Request, services: Services) -> Response:
    """Call a query of the main app's backend."""
    return await _call(request, services, "query")


@router.post("/api/mutation", **_MUTATION)
async def mutation(request: Request, services: Services) -> Response:
    """Call a mutation of the main app's backend; later queries show what it changed."""
    return await _call(request, services, "mutation")


@router.post("/c/{token:path}/api/query", **_QUERY)
async def query_with_token(request: Request, services: Services, _token: _Secret) -> Response:
    """The same, with the token in the address."""
    return await _call(request, services, "query")


@router.post("/c/{token:path}/api/mutation", **_MUTATION)
async def mutation_with_token(request: Request, services: Services, _token: _Secret) -> Response:
    """The same, with the token in the address."""
    return await _call(request, services, "mutation")


async def _call(request: Request, services: ApiServices, kind: Kind) -> Response:
    access = access_of(request.scope)
    access.check(*_SCOPES[kind], confirm=_CONFIRM[kind])
    access.about = UNREADABLE
    try:
        read = partial(protocol.read_request, content_type=request.headers.get("content-type"))
        call = await read_body(request, read)
    except RequestError as error:
        return answer(protocol.Failure(error.code, error.message), 400)
    function = FUNCTIONS.get(call.path)
    access.about = call.path if function else "(unknown)"
    if function is not None and function.kind == kind:
        spending_of(request.scope).begin(function.within)
        access.check(function.scope, confirm=_CONFIRM[kind])
    size = len(await request.body())
    try:
        value = await services.convex.run(call.path, kind, call.args, size, changed=access.changed)
    except FunctionError as error:
        access.outcome = "call-refused"
        return answer(protocol.refused(access.about, error))
    return answer(protocol.answered(value, call.format))
