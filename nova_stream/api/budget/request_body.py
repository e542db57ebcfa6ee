"""Bodies of requests, read within their route's budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from fastapi import Request

from nova_stream.api.budget.budget import SMALL_BODY, too_many_values
from nova_stream.api.budget.spending import spending_of
from nova_stream.api.problems import ProblemError
from nova_stream.events.json_text import has_more_values, parse_json

Parsed = TypeVar("Parsed")
Result = TypeVar("Result")

#: Bytes from which work on them goes into a thread, so that others are answered meanwhile.
OFF_LOOP = 64 * 1024
_THREAD = ThreadPoolExecutor(1, "large")


async def read_body(request: Request, parse: Callable[[bytes], Parsed]) -> Parsed:
    """What ``parse`` makes of the body.

    Raises ProblemError 413 for more of it than the route's budget has, TryAgainError when there is
    no room for it, and what ``parse`` raises.
    """
    body = await request.body()
    spending = spending_of(request.scope)
    if is_large(body):
        await spending.reserve()
    return await off_loop(len(body), _counted, body, spending.budget.values, parse)


async def read_json(request: Request) -> Any:
    """The value of a JSON body; raises what ``read_body`` and ``parse_json`` do."""
    return await read_body(request, partial(parse_json, where="the body"))


def is_large(body: bytes) -> bool:
    """Whether a body takes room that has to be reserved."""
    return len(body) > SMALL_BODY


async def off_loop(size: int, work: Callable[..., Result], *arguments: Any) -> Result:
    """The result of ``work``, in a thread where it is on many bytes.

    It is one thread for all: a parser keeps the interpreter for itself until it has finished, and
    several of them in a row would keep it from the loop.
    """
    if size <= OFF_LOOP:
        return work(*arguments)
    return await asyncio.get_running_loop().run_in_executor(_THREAD, partial(work, *arguments))


def _counted(body: bytes, values: int, parse: Callable[[bytes], Parsed]) -> Parsed:
    if has_more_values(body, values):
        raise too_many_values(values)
    return parse(body)


async def read_options(request: Request, *known: str) -> dict[str, Any]:
    """A small JSON object that may have the members ``known``; empty without a body.

    Raises ProblemError 422, RejectedError.
    """
    given = await read_json(request) if (await request.body()).strip() else {}
    if not isinstance(given, dict):
        raise bad_option("the body must be a JSON object")
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise bad_option(f"the body has {unknown[0]!r}; known are {', '.join(known)}")
    return given


def bad_option(detail: str) -> ProblemError:
    """Something in a body is wrong."""
    return ProblemError(422, "invalid-request", detail)
