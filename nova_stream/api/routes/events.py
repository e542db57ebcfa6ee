"""The way in for programs that are not Python."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from nova_stream.api.auth.access import UNREADABLE, access_of
from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import EVENTS, within
from nova_stream.api.budget.request_body import is_large, read_body
from nova_stream.api.budget.spending import spending_of
from nova_stream.api.openapi import examples, links
from nova_stream.api.openapi.change import CHANGES
from nova_stream.api.openapi.responses import Accepted, answer, answers
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import PREFIX, Services
from nova_stream.errors import RejectedError
from nova_stream.events.json_text import parse_json
from nova_stream.events.lines import ChangeLine, change_line

router = APIRouter(
    prefix=PREFIX, tags=["events"], dependencies=[needs("publish", confirm="never"), within(EVENTS)]
)

#: Bad events that are named; more are only counted.
_NAMED = 20
#: Events checked before others get their turn.
_TURN = 100

_split_list = msgspec.json.Decoder(list[msgspec.Raw]).decode

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": CHANGES,
                "examples": examples.EVENTS,
            }
        },
    }
}


@router.post(
    "/events",
    status_code=202,
    openapi_extra=_BODY,
    responses=answers(
        "Accepted",
        "Kafka has acknowledged all of them.",
        413,
        status=202,
        links=links.PUBLISHED,
    ),
)
async def publish(request: Request, services: Services) -> Response:
    """Publish one change or a list of them. Of a list with a bad one nothing is sent. `token`
    goes to `?after=` of a read that is to show them.
    """
    access = access_of(request.scope)
    access.about = UNREADABLE
    lines = await _lines(await read_body(request, _split))
    access.about = "changes"
    access.changed.update(line.entity for line in lines)
    # Kafka may be long in answering, and has no use for what they were made of.
    spending_of(request.scope).shrink(3 * len(await request.body()))
    publisher = await services.publisher.get()
    token = await publisher.publish(lines)
    for entity, count in access.changed.items():
        services.metrics.published.labels(entity).inc(count)
    return answer(Accepted(len(lines), token.encode()), 202)


def _split(body: bytes) -> Sequence[Any]:
    """The events of a body; those of a large list still as JSON, for each to be read by itself."""
    if is_large(body):
        with contextlib.suppress(msgspec.DecodeError, RecursionError):  # said below
            return _split_list(body)
    given = parse_json(body, "the body")
    return given if isinstance(given, list) else [given]


async def _lines(events: Sequence[Any]) -> list[ChangeLine]:
    """The changes of the body, all checked; ProblemError 422 names those that are bad."""
    lines = []
    bad = 0
    named: list[dict[str, Any]] = []
    for index, event in enumerate(events):
        try:
            if isinstance(event, msgspec.Raw):
                event = parse_json(bytes(event), "the event")  # noqa: PLW2901 - as it is read
            lines.append(change_line(event))
        except RejectedError as error:
            bad += 1
            if bad <= _NAMED:
                named.append({"index": index, "reason": error.reason, "detail": str(error)})
        if index % _TURN == _TURN - 1:
            await asyncio.sleep(0)
    if bad:
        raise _bad_events(named, bad, len(events))
    return lines


def _bad_events(named: list[dict[str, Any]], bad: int, count: int) -> ProblemError:
    first = named[0]
    more = f" {bad - 1} more are bad." if bad > 1 else ""
    return ProblemError(
        422,
        "bad-event",
        f"Event {first['index']} of {count} (counted from 0) is bad: {first['reason']}: "
        f"{first['detail']}.{more} Nothing was sent.",
        index=first["index"],
        reason=first["reason"],
        errors=named,
        errorCount=bad,
    )
