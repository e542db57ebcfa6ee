"""Convex's HTTP protocol: what a request asks for, and the bodies of answers.

One body serves both clients of the main app: its own reads ``success``, ``result`` and ``error``,
ConvexHttpClient ``status``, ``value`` and ``errorMessage``.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

import msgspec

from nova_stream.api.convex.errors import FunctionError, RequestError
from nova_stream.api.convex.values import Format, written
from nova_stream.errors import RejectedError
from nova_stream.events.json_text import parse_json
from nova_stream.telemetry import get_logger

#: ``folder/file:function``; the function is ``default`` where none is named.
PATH = r"^([A-Za-z0-9_.]+/)*[A-Za-z0-9_.]+(:[A-Za-z_$][A-Za-z0-9_$]*)?$"
#: The names of the two ways in which values are written; the second of each is an older one.
FORMATS: dict[str, Format] = {
    "convex_encoded_json": "convex_encoded_json",
    "convex_json": "convex_encoded_json",
    "json": "json",
    "convex_clean_json": "json",
}

_PATH = re.compile(PATH)
_JSON = re.compile(r"application/([a-z0-9.!#$&^_+-]+\+)?json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_log = get_logger(__name__)


class Request(msgspec.Struct, frozen=True):
    """A call: the function, its arguments as JSON values, and how the answer is written."""

    path: str
    args: list[Any]
    format: Format


class Answer(msgspec.Struct, frozen=True):
    """What the function gave, under both clients' names."""

    value: Any
    result: Any
    status: str = "success"
    success: bool = True


class Refusal(msgspec.Struct, frozen=True, rename="camel"):
    """Why the function refused the call; ``error`` is the short text."""

    error_message: str
    error: str
    status: str = "error"
    success: bool = False


class Failure(msgspec.Struct, frozen=True):
    """The request is no call: Convex's word for what is wrong, and a sentence."""

    code: str
    message: str


def read_request(body: bytes, content_type: str | None) -> Request:
    """The call that a request's body asks for; raises RequestError."""
    if content_type is None or not _JSON.fullmatch(content_type.strip()):
        raise _bad_body("Expected request with `Content-Type: application/json`")
    try:
        fields = parse_json(body, "the body")
    except RejectedError as error:
        raise _bad_body(f"Failed to parse the request body as JSON: {error}") from None
    if not isinstance(fields, dict):
        raise _bad_body('The request body is no object: {"path": "file:function", "args": {}}')
    path = fields.get("path")
    if not isinstance(path, str):
        raise _bad_body("The request body has no string `path`, such as dashboard:createBuild")
    args = fields.get("args")
    if isinstance(args, dict):
        args = [args]
    if not isinstance(args, list):
        raise _bad_body("The request body has no object `args`")
    return Request(_canonical(path), args, _format(fields.get("format")))


def answered(value: Any, format_: Format) -> Answer:
    """The body for a function's result."""
    shown = written(value, format_)
    return Answer(shown, shown)


def refused(function: str, error: FunctionError) -> Refusal:
    """The body for a function's refusal, worded as Convex words it; its id leads to the log."""
    request_id = secrets.token_hex(8)
    _log.info("a function refused its call", function=function, request_id=request_id)
    message = f"[Request ID: {request_id}] Server Error\n{error.text}"
    return Refusal(error_message=message, error=error.message)


def _canonical(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise RequestError(
            "BadConvexFunctionIdentifier",
            f"{path[:200]} is not a valid path to a Convex function; it is file:function",
        )
    module, _, name = path.partition(":")
    return f"{module.removesuffix('.js').removesuffix('.ts')}:{name or 'default'}"


def _format(given: Any) -> Format:
    if given is None:
        return "json"
    found = FORMATS.get(given) if isinstance(given, str) else None
    if found is None:
        raise RequestError(
            "BadFormat", "format param must be one of [`json`, `convex_encoded_json`]"
        )
    return found


def _bad_body(message: str) -> RequestError:
    return RequestError("BadJsonBody", message)
