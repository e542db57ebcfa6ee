"""Server-sent events, over as many connections as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import msgspec

from nova_stream.client.problems import error_of, unreachable
from nova_stream.errors import ApiUnavailableError, NovaStreamError
from nova_stream.storage.stats.rows import Activity, AgentStats, Build, BuildStats, Overview

#: The API sends a comment each 15 s: what is silent for longer than this is dead.
SILENCE_S = 45.0
_LONGEST_WAIT_S = 30.0
_STREAM = "GET /api/v1/stream"


_TYPES: dict[str, type] = {
    "agent": AgentStats,
    "builds": BuildStats,
    "overview": Overview,
    "build": Build,
    "activity": Activity,
}


class LiveEvent(msgspec.Struct, frozen=True):
    """An event of docs/http-api.md; ``id`` is what to go on from. What is no row is a dict."""

    id: str | None
    event: str
    data: AgentStats | BuildStats | Overview | Build | Activity | dict[str, Any]


class _Frames:
    """The fields of each event in a stream of bytes.

    Lines end at line feeds alone: JSON holds what other readers take for a line's end.
    """

    def __init__(self) -> None:
        self.retry_s = 2.0
        self.begin()

    def begin(self) -> None:
        """Forget what a connection left unfinished."""
        self._rest = b""
        self._fields: dict[str, str] = {}

    def feed(self, data: bytes) -> list[dict[str, str]]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = []
        for line in lines:
            name, _, value = line.removesuffix(b"\r").decode().partition(":")
            value = value.removeprefix(" ")
            if not name and not value:
                if "data" in self._fields:
                    found.append(self._fields)
                self._fields = {}
            elif name == "retry" and value.isdecimal():
                self.retry_s = int(value) / 1000
            elif name == "data" and name in self._fields:
                self._fields[name] += f"\n{value}"
            elif name:
                self._fields[name] = value
        return found


async def following(
    connect: Callable[[str | None], AbstractAsyncContextManager[httpx.Response]],
    last_event_id: str | None,
    on_break: Callable[[NovaStreamError], None],
) -> AsyncIterator[LiveEvent]:
    """Events for ever; ``connect`` opens the stream after an id. Raises what does not pass."""
    frames, failures = _Frames(), 0
    while True:
        frames.begin()
        try:
            async with connect(last_event_id) as response:
                if response.is_error:
                    await response.aread()
                    raise error_of(response)
                async for data in response.aiter_bytes():
                    for fields in frames.feed(data):
                        failures = 0
                        last_event_id = fields.get("id", last_event_id)
                        yield _event(fields)
            trouble = unreachable("the stream ended", _STREAM)
        except httpx.HTTPError as error:
            trouble = unreachable(error, _STREAM)
        except ApiUnavailableError as error:
            trouble = error
        on_break(trouble)
        usual = min(frames.retry_s * 2**failures, _LONGEST_WAIT_S)
        failures += 1
        await asyncio.sleep(trouble.retry_after or usual)


def _event(fields: dict[str, str]) -> LiveEvent:
    event = fields.get("event", "message")
    data: Any = msgspec.json.decode(fields["data"], type=_TYPES.get(event, dict))
    return LiveEvent(fields.get("id"), event, data)
