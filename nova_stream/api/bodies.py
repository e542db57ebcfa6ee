"""Bodies that say how something is to be done."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from nova_stream.api.problems import ProblemError
from nova_stream.events.json_text import parse_json


async def read_options(request: Request, *known: str) -> dict[str, Any]:
    """A small JSON object that may have the members ``known``; empty without a body.

    Raises ProblemError 422, RejectedError.
    """
    body = await request.body()
    given = parse_json(body, "the body") if body.strip() else {}
    if not isinstance(given, dict):
        raise bad_option("the body must be a JSON object")
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise bad_option(f"the body has {unknown[0]!r}; known are {', '.join(known)}")
    return given


def bad_option(detail: str) -> ProblemError:
    """Something in a body is wrong."""
    return ProblemError(422, "invalid-request", detail)
