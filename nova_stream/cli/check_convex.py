"""What ``nova-stream doctor`` looks at where a Convex deployment is captured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING

from nova_stream.capture.client import ConvexClient
from nova_stream.capture.process import SOURCE
from nova_stream.clock import Clock, isoformat
from nova_stream.errors import NovaStreamError, SourceAwayError
from nova_stream.settings import Settings
from nova_stream.storage.capture import cursor as source_cursor
from nova_stream.storage.database import Connection

if TYPE_CHECKING:
    from nova_stream.storage.capture.cursor import SourceState

#: Seconds that the deployment may take to answer.
_LIMIT_S = 10.0
#: A capture that works stores its place every few seconds.
_LATE = timedelta(seconds=60)
_START = "start one: nova-stream capture convex"


async def check_convex(
    connection: Connection, settings: Settings, clock: Clock
) -> AsyncIterator[tuple[bool, str, str]]:
    """Whether the deployment answers, and how far its capture is: good or not, what was found,
    what to do. Nothing where no deployment is configured.
    """
    if settings.convex_url is None and settings.convex_key is None:
        return
    try:
        async with ConvexClient(settings, clock) as client:
            address = client.address
            await client.tables(_LIMIT_S)
    except SourceAwayError as error:
        yield False, str(error), "a capture that runs waits for it"
    except NovaStreamError as error:
        yield False, str(error), ""
        return
    else:
        yield True, f"{client.place} answers, and takes the key", ""
    state = await source_cursor.read(connection, SOURCE)
    yield _of_capture(state, address, clock)


def _of_capture(state: SourceState | None, address: str, clock: Clock) -> tuple[bool, str, str]:
    if state is None:
        return False, "never captured", _START
    if state.address != address:
        return (
            False,
            f"what is stored was captured from {state.address}, not from {address}",
            "correct NOVA_CONVEX_URL, or see docs/convex-source.md under Another deployment",
        )
    if not state.held:
        read = state.caught_up_at
        since = (
            f"everything was read at {isoformat(read)}"
            if read
            else "no snapshot was ever completed"
        )
        return False, f"no instance captures now; {since}", _START
    if state.at.phase != "deltas":
        documents = f"{state.at.documents} documents so far"
        return True, f"{state.holder} is reading a snapshot, {documents}", ""
    behind = clock() - (state.caught_up_at or state.updated_at)
    if behind > _LATE:
        return (
            False,
            f"{state.holder} has not caught up for {behind.total_seconds():.0f} s",
            "read its log: it says what it waits for",
        )
    return True, f"{state.holder} captures, {max(behind.total_seconds(), 0):.0f} s behind", ""
