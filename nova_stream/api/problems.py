"""Errors as RFC 9457 problem details, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from nova_stream.api.pages import missing
from nova_stream.errors import (
    BadCursorError,
    DatabaseUnavailableError,
    KafkaUnavailableError,
    PositionNotReachedError,
    PublishError,
    RejectedError,
    SchemaVersionError,
    TopicError,
    TryAgainError,
)
from nova_stream.storage.faults import Fault, fault_of, is_away, state_of
from nova_stream.telemetry import get_logger

_TYPE = "urn:nova-stream:"
#: Of what passes by itself within seconds.
RETRY = {"Retry-After": "2"}
#: A path that begins so goes on with a token.
_PRIVATE = "/c/"

#: What our own errors mean to the caller: the problem's kind. All pass by themselves, or when
#: the operator does what the message says.
_UNAVAILABLE_KINDS: dict[type[Exception], str] = {
    DatabaseUnavailableError: "database-unavailable",
    SchemaVersionError: "schema-version",
    KafkaUnavailableError: "kafka-unavailable",
    PublishError: "not-acknowledged",
    TopicError: "topic",
}

#: What callers are told of what is away: its address and its own words are for the log alone.
_AWAY: dict[type[Exception], str] = {
    DatabaseUnavailableError: "Postgres is unavailable; try again.",
    KafkaUnavailableError: "Kafka is unavailable; try again.",
}

_log = get_logger(__name__)


class Problem(msgspec.Struct, frozen=True):
    """Problem details (RFC 9457). ``type`` is ``urn:nova-stream:<kind>`` where there is more to
    say than the status does.
    """

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class ProblemError(Exception):
    """Raised by a route: answered as a problem of this status.

    ``kind`` is the last word of its type; ``more`` are members beside the standard ones.
    """

    def __init__(
        self,
        status: int,
        kind: str | None,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more


#: What an error of the domain is to the caller whose request it ends.
_ANSWERS: dict[type[Exception], Callable[[Any], ProblemError]] = {
    ProblemError: lambda error: error,
    RejectedError: lambda error: ProblemError(422, "rejected", str(error), reason=error.reason),
    BadCursorError: lambda error: ProblemError(422, "bad-cursor", str(error)),
    TryAgainError: lambda error: ProblemError(
        429 if error.own_share else 503,
        error.kind,
        str(error),
        headers={"Retry-After": str(error.retry_after)},
    ),
    PositionNotReachedError: lambda error: ProblemError(
        504, "position-not-reached", str(error), position=error.position, behind=error.behind
    ),
}


def problem_response(error: ProblemError) -> Response:
    """The answer to a ProblemError."""
    problem = Problem(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        type=f"{_TYPE}{error.kind}" if error.kind else "about:blank",
    )
    return Response(
        msgspec.json.encode({**msgspec.to_builtins(problem), **error.more}),
        status_code=error.status,
        media_type="application/problem+json",
        headers=error.headers,
    )


def stopping(*, in_doubt: bool = False) -> TryAgainError:
    """The server stops; ``in_doubt``: in the middle of what may change something."""
    told = "look whether this was done before you try again" if in_doubt else "try again"
    return TryAgainError("stopping", f"The server is stopping; {told}.", retry_after=5)


def problem_of(error: Exception) -> ProblemError:
    """The problem that an exception is to the caller; what nobody expected is logged as an error
    and told as 500 without its text.
    """
    for kind, answer in _ANSWERS.items():
        if isinstance(error, kind):
            return answer(error)
    for kind, name in _UNAVAILABLE_KINDS.items():
        if isinstance(error, kind):
            if told := _AWAY.get(kind):
                _log.info("a request needs a service that is unavailable", error=str(error))
            more = {"databaseState": state_of(error)} if kind is DatabaseUnavailableError else {}
            return ProblemError(503, name, told or str(error), headers=RETRY, **more)
    if is_away(error):
        detail = "Postgres does not answer; try again."
        return ProblemError(
            503, "database-unavailable", detail, headers=RETRY, databaseState=state_of(error)
        )
    if isinstance(error, asyncpg.PostgresError) and fault_of(error) is Fault.SETUP:
        _log.error("the database schema does not match this version", error=str(error))
        detail = "The database schema does not match this version. Run: nova-stream migrate"
        return ProblemError(503, "schema-version", detail, headers=RETRY)
    _log.error("a request failed", exc_info=error)
    return ProblemError(500, "internal", "Internal error; the server's log has the details.")


def without_frames(error: BaseException) -> None:
    """Let the frames of an error go, and of those behind it, which nobody looks at any more.

    Some of them hold the error: the body that others hold would stay until Python collects such
    circles, which is long after many such requests have filled the memory.
    """
    waiting = [error]
    while waiting:
        one = waiting.pop()
        one.__traceback__ = None
        behind = (one.__cause__, one.__context__)
        waiting += [other for other in behind if other is not None and other.__traceback__]


def install(app: FastAPI) -> None:
    """Answer FastAPI's and Starlette's own errors as problems; the middleware sees all others."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    headers = dict(error.headers or {})
    if error.status_code == 404:
        if (page := await missing(request)) is not None:
            return page
        path = request.url.path
        shown = "this path" if path.startswith(_PRIVATE) else path
        detail = f"There is nothing at {shown}; /docs lists all paths."
    elif error.status_code == 405:
        headers["Allow"] = allowed = _allowed(headers.get("Allow", "GET"))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        detail = f"This method is not allowed here; allowed are {allowed}."
    return problem_response(ProblemError(error.status_code, None, detail, headers=headers))


def _allowed(methods: str) -> str:
    """What a path takes: whatever is read with GET has HEAD, and everything has OPTIONS."""
    found = {method.strip() for method in methods.split(",")} | {"OPTIONS"}
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(str(part) for part in item["loc"]), "detail": item["msg"]}
        for item in error.errors()
    ]
    detail = "; ".join(f"{item['field']}: {item['detail']}" for item in errors)
    return problem_response(ProblemError(422, "invalid-request", detail, errors=errors))
