"""Who captures: one instance at a time, and the next one within seconds when it is gone.

The lease runs by Postgres's clock and is kept alive by its holder; a holder that is killed or
stopped lets it run out. An instance that wakes up after that looks at its own clock before it
publishes, and cannot store anything, since the epoch has risen.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nova_stream.errors import LeadershipLostError, SettingsError
from nova_stream.settings import Settings
from nova_stream.storage.capture import cursor as source_cursor
from nova_stream.storage.capture.cursor import CursorStore, SourceState
from nova_stream.storage.database import Connection, open_session
from nova_stream.storage.faults import DATABASE_ERRORS, is_away, name_of
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: A lease that is not renewed for so long is the next instance's. Seconds.
LEASE = 6.0
_RENEW_S = 1.5
#: How often a waiting instance looks.
_LOOK_S = 1.0
#: Nothing is published in the last moments of a lease.
_MARGIN_S = 1.0


class HeldLease:
    """The lease while an instance holds it."""

    def __init__(self, store: CursorStore, state: SourceState) -> None:
        self.store = store
        self.state = state
        self._sure_until = time.monotonic() + LEASE

    def check(self) -> None:
        """Raises LeadershipLostError unless nobody else can have the lease yet."""
        if time.monotonic() > self._sure_until - _MARGIN_S:
            raise LeadershipLostError("the lease was not renewed in time")

    def renewed(self, asked_at: float) -> None:
        """Note that the lease was renewed by a question asked at this monotonic time."""
        self._sure_until = asked_at + LEASE

    def lost(self) -> None:
        """Note that another instance has it."""
        self._sure_until = 0.0


@asynccontextmanager
async def hold(settings: Settings, source: str, address: str) -> AsyncIterator[HeldLease]:
    """Wait until this instance holds the source's lease, and keep it for the time inside.

    Raises SettingsError when the source was captured from another address, SchemaVersionError,
    DatabaseUnavailableError, and what asyncpg raises.
    """
    async with (
        open_session(settings, "capture") as connection,
        open_session(settings, "capture lease") as keeper,
    ):
        asked_at, state = await _acquire(connection, source, address)
        holding = HeldLease(CursorStore(connection, source, state.epoch), state)
        holding.renewed(asked_at)
        task = asyncio.create_task(_keep(keeper, source, state.epoch, holding))
        try:
            yield holding
        finally:
            task.cancel()
            await asyncio.wait({task})
            await _let_go(keeper, source, state.epoch)


async def _acquire(connection: Connection, source: str, address: str) -> tuple[float, SourceState]:
    """The state once the lease is ours, and the monotonic time at which it was asked for."""
    holder = f"{socket.gethostname()}:{os.getpid()}"
    waits = False
    while True:
        asked_at = time.monotonic()
        state = await source_cursor.acquire(connection, source, address, holder, LEASE)
        if state is not None:
            _log.info("capturing", source=source, address=address, epoch=state.epoch)
            return asked_at, state
        known = await source_cursor.read(connection, source)
        if known is not None and known.address != address:
            raise SettingsError(
                f"NOVA_CONVEX_URL={address!r}: this database holds what was captured from "
                f"{known.address}. To follow this deployment instead, and delete what it does not "
                "have: nova-stream capture convex --new-snapshot"
            )
        if known is not None and not waits:
            waits = True
            _log.info("standing by", source=source, holder=known.holder)
        await asyncio.sleep(_LOOK_S)


async def _keep(connection: Connection, source: str, epoch: int, holding: HeldLease) -> None:
    while True:
        await asyncio.sleep(_RENEW_S)
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(LEASE):
                ours = await source_cursor.renew(connection, source, epoch, LEASE)
        except DATABASE_ERRORS as error:
            if not is_away(error):
                _log.error("the lease cannot be renewed", source=source, error=name_of(error))
            ours = None
        if ours:
            holding.renewed(asked_at)
        elif ours is False or connection.is_closed():
            holding.lost()
            return


async def _let_go(connection: Connection, source: str, epoch: int) -> None:
    """Spare the next instance the wait; where that fails, it waits."""
    try:
        async with asyncio.timeout(1):
            await source_cursor.release(connection, source, epoch)
    except DATABASE_ERRORS as error:
        if not is_away(error):
            _log.error("the lease cannot be given back", source=source, error=name_of(error))
