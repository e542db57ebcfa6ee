"""What commands leave in the audit trail."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.access.trail import Line

#: Seconds that a command waits to leave its line.
_LIMIT_S = 5.0


def command_line(command: str, about: str | None, outcome: str, now: datetime) -> Line:
    """The line of ``nova-stream COMMAND``; the address is the account and the machine."""
    from nova_stream.storage.access.trail import Line

    account = "(unknown)"
    with contextlib.suppress(OSError, KeyError):  # a container's user may have no name
        account = getpass.getuser()
    return Line(
        at=now,
        until=now,
        requests=1,
        token=None,
        address=f"{account}@{socket.gethostname()}",
        action=f"nova-stream {command}",
        object=about,
        outcome=outcome,
        refused=False,
    )


@asynccontextmanager
async def told(settings: Settings, command: str, about: str | None) -> AsyncIterator[None]:
    """Leave a line about what happens inside, whatever comes of it. What cannot be told is said on
    standard error: it has been done by then.
    """
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        await _leave(settings, command, about, outcome)


async def _leave(settings: Settings, command: str, about: str | None, outcome: str) -> None:
    from nova_stream.clock import system_clock
    from nova_stream.errors import SchemaVersionError
    from nova_stream.storage.access import trail as trail_store
    from nova_stream.storage.database import DATABASE_ERRORS, open_session

    line = command_line(command, about, outcome, system_clock())
    try:
        async with open_session(settings, "trail", timeout=_LIMIT_S) as connection:
            await trail_store.add(connection, [line])
    except (*DATABASE_ERRORS, SchemaVersionError) as error:
        what = str(error).partition("\n")[0] or type(error).__name__
        typer.echo(f"warning: the audit trail does not have this: {what}", err=True)
