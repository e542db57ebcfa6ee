"""What an error of Postgres means: what the server does, and whose fault it is: the server's for
now, the set-up's, or the data's.
"""

from __future__ import annotations

import socket
from enum import Enum
from typing import Literal

import asyncpg
from asyncpg.exceptions import _base as asyncpg_base

from nova_stream.errors import DatabaseUnavailableError, NovaStreamError

#: SQLSTATE classes that pass by themselves: connection, transaction rollback, resources,
#: operator intervention, system; 25 because our own timeouts end sessions with it.
_PASSING = {"08", "40", "53", "55", "57", "58", "25"}
#: Classes that say the database schema does not match this version: access, names, privileges.
_SETUP = {"28", "3D", "3F", "42", "0A", "XX"}


#: All that Postgres, asyncpg and the network between can raise, broken statements too: who catches
#: these asks ``is_away``, or tells what it was.
DATABASE_ERRORS = (
    DatabaseUnavailableError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection whose end has been announced and not come
)

#: What Postgres does: it works, it keeps everybody waiting (stopped, or behind a network that is
#: gone), or it turns everybody away (not running, starting, another password).
PostgresState = Literal["up", "silent", "refusing", "unresolved"]


class Fault(Enum):
    """What to do after an error."""

    PASSING = "passing"  # wait and try again
    SETUP = "setup"  # wait, and tell the engineer
    DATA = "data"  # find the record and put it among the dead letters


def name_of(error: BaseException) -> str:
    """What may be logged of an error: its class and SQLSTATE, since its words may hold data."""
    state = getattr(error, "sqlstate", None)
    return type(error).__name__ if state is None else f"{type(error).__name__} ({state})"


def state_of(error: BaseException) -> PostgresState:
    """What an error says of the Postgres that it came from."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, TimeoutError):
            return "silent"
        if isinstance(found, socket.gaierror):
            return "unresolved"
        found = found.__context__
    return "refusing"


#: How asyncpg says that a statement has another number of parameters than it was given.
_MISCOUNTED = "the server expects"


def fault_of(error: BaseException) -> Fault:
    """Judge an error that Postgres, or the way to it, has raised."""
    # asyncpg cannot encode a parameter: its DataError is an InterfaceError, not a server's word.
    if isinstance(error, asyncpg_base.DataError | OverflowError | UnicodeError):
        return Fault.DATA
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state[:2] in _PASSING:
            return Fault.PASSING
        return Fault.SETUP if state[:2] in _SETUP else Fault.DATA
    if isinstance(error, asyncpg.InterfaceError):
        return Fault.SETUP if str(error).startswith(_MISCOUNTED) else Fault.PASSING
    if isinstance(error, OSError | asyncpg.InternalClientError | DatabaseUnavailableError):
        return Fault.PASSING
    # The rest is whatever a record made our own code do: it must not stop the others.
    return Fault.SETUP if isinstance(error, NovaStreamError) else Fault.DATA


def is_away(error: BaseException) -> bool:
    """Whether Postgres cannot be used at the moment and may be again later, as it is: nothing
    answers, it starts or stops, or what we wanted ended for a reason that passes.

    A broken statement, a missing privilege and another schema are no outage.
    """
    return fault_of(error) is Fault.PASSING
