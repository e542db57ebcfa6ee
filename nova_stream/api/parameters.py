"""What stands in an address behind the question mark: nothing of it is ignored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from nova_stream.api.problems import ProblemError
from nova_stream.errors import RejectedError
from nova_stream.events.times import parse_iso

#: The pattern of a text that Postgres may have: it has a NUL in none.
NO_NUL = r"^[^\x00]*$"

#: What lists take that are read page by page.
Rows = Annotated[int, Query(ge=1, le=500, description="Rows a page.")]
NextCursor = Annotated[
    str | None, Query(description="`nextCursor` of the page before; none = the first page.")
]

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Response]])


def in_path_or_query(
    router: APIRouter, path: str, query_path: str, note: str, **options: Any
) -> Callable[[Handler], Handler]:
    """Register a read under ``path``, and under ``query_path`` with the id in the query, for
    those that no path can hold; ``note`` describes the latter.
    """

    def register(handler: Handler) -> Handler:
        router.get(path, **options)(handler)
        name = f"{handler.__name__}_by_query"
        router.get(query_path, name=name, description=note, **options)(handler)
        return handler

    return register


def refuse_unknown(request: Request) -> None:
    """Raise ProblemError 422 for a query parameter that the request's route does not have, or that
    is there twice: whoever sent it expects something of it.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    if not names:
        return
    allowed = frozenset(_names(request.scope["route"].dependant))
    for name in sorted(set(names)):
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise ProblemError(
                422,
                "unknown-parameter",
                f"{name[:100]!r} is not a parameter here; allowed are: {known}.",
                parameter=name[:100],
                allowed=sorted(allowed),
            )
        if names.count(name) > 1:
            detail = f"{name} is given {names.count(name)} times; give it once."
            raise ProblemError(422, "repeated-parameter", detail, parameter=name)


def _names(dependant: Any) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for inner in dependant.dependencies:
        yield from _names(inner)


def several(allowed: Iterable[str], what: str) -> tuple[Any, Any]:
    """What annotates a text that is one of ``allowed``, or several separated by commas: how it is
    described, with ``what`` about it, and what refuses all else.
    """
    names = tuple(allowed)
    one = f"({'|'.join(names)})"

    def check(given: str | None) -> str | None:
        if given is not None and not set(given.split(",")) <= set(names):
            raise PydanticCustomError(
                "several",
                "Input should be {allowed}, or several of them separated by commas",
                {"allowed": ", ".join(repr(each) for each in names)},
            )
        return given

    description = f"{what} Several are separated by commas."
    schema = {"pattern": f"^{one}(,{one})*$"}
    return Query(description=description, json_schema_extra=schema), AfterValidator(check)


def time_of(name: str, value: str) -> datetime:
    """The time that a query parameter gives; raises ProblemError 422 for what is none."""
    try:
        return parse_iso(value, "it")
    except RejectedError as error:
        raise bad_parameter(name, str(error)) from None


def bad_parameter(name: str, detail: str) -> ProblemError:
    """A query parameter is wrong: told as FastAPI tells it of those that it checks itself."""
    errors = [{"field": f"query.{name}", "detail": detail}]
    return ProblemError(422, "invalid-request", f"query.{name}: {detail}", errors=errors)
