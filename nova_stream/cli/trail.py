"""``nova-stream trail``, and what commands leave in the audit trail."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.start import on_database, prepare_quiet
from nova_stream.cli.tables import Json, print_list

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.access.trail import Line, TrailRow


def trail(
    *,
    token: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only lines of this token.")
    ] = None,
    refused: Annotated[
        bool, typer.Option("--refused", metavar="", help="Only refused actions.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="Lines at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the audit trail, newest first: what was published, what administrators did or looked
    at, and what was refused. Times are UTC.
    """
    settings = prepare_quiet()
    from nova_stream.storage.access import trail as trail_store

    read = partial(trail_store.page, limit=limit, token=token, refused=True if refused else None)
    page = on_database(settings, "trail", read)
    columns = ("id", "at", "times", "token", "address", "action", "object", "outcome")
    none = "the audit trail has no such line" if token or refused else "nothing yet"
    more = page.next is not None
    print_list(page.rows, columns, _shown, as_json=as_json, none=none, more=more)


def _shown(row: TrailRow) -> tuple[object, ...]:
    return (
        row.id,
        row.at,
        row.requests,
        row.token or "-",
        row.address or "-",
        row.action,
        row.object or "-",
        f"refused: {row.outcome}" if row.refused else row.outcome,
    )


#: Seconds that a command waits to leave its line.
_LIMIT_S = 5.0


def command_line(command: str, about: str | None, outcome: str, now: datetime) -> Line:
    """The line of ``nova-stream COMMAND``; the address is the account and the machine."""
    from nova_stream.storage.access.trail import Line

    return Line(
        at=now,
        until=now,
        requests=1,
        token=None,
        address=f"{account()}@{socket.gethostname()}",
        action=f"nova-stream {command}",
        object=about,
        outcome=outcome,
        refused=False,
    )


def account() -> str:
    """The name of the account that this command runs as."""
    with contextlib.suppress(OSError, KeyError):  # a container's user may have no name
        return getpass.getuser()
    return "(unknown)"


@asynccontextmanager
async def told(
    settings: Settings, command: str, about: str | None, *, required: bool = True
) -> AsyncIterator[None]:
    """Leave a line that what happens inside begins, and one about what came of it.

    Raises DatabaseUnavailableError, SchemaVersionError or what asyncpg raises where the first
    cannot be written: nothing has been done then. Without ``required`` that is only said on
    standard error, as it is of the second, whose action is over by then.
    """
    from nova_stream.storage.access.trail import BEGUN

    leave = _leave if required else _try_to_leave
    await leave(settings, command, about, BEGUN)
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        await _try_to_leave(settings, command, about, outcome)


async def _leave(settings: Settings, command: str, about: str | None, outcome: str) -> None:
    from nova_stream.clock import system_clock
    from nova_stream.storage.access import trail as trail_store
    from nova_stream.storage.database import open_session

    line = command_line(command, about, outcome, system_clock())
    async with open_session(settings, "trail", timeout=_LIMIT_S) as connection:
        await trail_store.add(connection, [line])


async def _try_to_leave(settings: Settings, command: str, about: str | None, outcome: str) -> None:
    from nova_stream.errors import SchemaVersionError
    from nova_stream.storage.faults import DATABASE_ERRORS

    try:
        await _leave(settings, command, about, outcome)
    except (*DATABASE_ERRORS, SchemaVersionError) as error:
        what = str(error).partition("\n")[0] or type(error).__name__
        typer.echo(f"warning: the audit trail does not have this: {what}", err=True)
