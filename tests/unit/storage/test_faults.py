"""Which errors of a flush pass by themselves, which are the set-up's, and which the data's."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest
from asyncpg.exceptions import _base

from nova_stream.errors import DatabaseUnavailableError, SchemaVersionError
from nova_stream.storage.faults import Fault, fault_of, is_away, name_of

PASSING = [
    OSError("no route"),
    ConnectionResetError(),
    TimeoutError(),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError(),
    asyncpg.ConnectionDoesNotExistError(),
    asyncpg.SerializationError(),
    asyncpg.DeadlockDetectedError(),
    asyncpg.DiskFullError(),
    asyncpg.OutOfMemoryError(),
    asyncpg.TooManyConnectionsError(),
    asyncpg.LockNotAvailableError(),
    asyncpg.QueryCanceledError(),
    asyncpg.AdminShutdownError(),
    asyncpg.CannotConnectNowError(),
    asyncpg.IdleInTransactionSessionTimeoutError(),
    asyncpg.ReadOnlySQLTransactionError(),
    DatabaseUnavailableError("gone"),
]
SETUP = [
    asyncpg.UndefinedTableError(),
    asyncpg.UndefinedColumnError(),
    asyncpg.InsufficientPrivilegeError(),
    asyncpg.InvalidPasswordError(),
    asyncpg.InvalidCatalogNameError(),
    asyncpg.FeatureNotSupportedError(),
    asyncpg.DataCorruptedError(),
    SchemaVersionError(),
    asyncpg.InterfaceError("the server expects 1 argument for this query, 2 were passed"),
]
DATA = [
    asyncpg.CharacterNotInRepertoireError(),  # 22021: NUL in text
    asyncpg.UntranslatableCharacterError(),  # 22P05: NUL in jsonb
    asyncpg.InvalidTextRepresentationError(),
    asyncpg.NumericValueOutOfRangeError(),  # 22003: 1e400000
    asyncpg.ProgramLimitExceededError(),  # 54000: an id of 10 kB
    asyncpg.StatementTooComplexError(),  # 54001: deep nesting
    asyncpg.CardinalityViolationError(),  # 21000: one id under two keys
    asyncpg.NotNullViolationError(),
    _base.DataError("invalid input for query argument"),
    OverflowError("int too big to convert"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    RecursionError("maximum recursion depth exceeded"),
    msgspec.ValidationError("Integer value out of range"),
    TypeError(),
    KeyError("x"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_passes_by_itself_is_waited_for(error: Exception) -> None:
    assert fault_of(error) is Fault.PASSING


@pytest.mark.parametrize("error", SETUP, ids=repr)
def test_what_a_person_must_mend_is_the_set_up(error: Exception) -> None:
    assert fault_of(error) is Fault.SETUP


@pytest.mark.parametrize("error", DATA, ids=repr)
def test_everything_else_is_the_datas_fault(error: Exception) -> None:
    assert fault_of(error) is Fault.DATA


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_postgres_is_away_where_it_may_be_there_again_as_it_is(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize("error", [*SETUP, *DATA], ids=repr)
def test_a_broken_statement_is_no_outage(error: Exception) -> None:
    assert not is_away(error)


def test_a_log_line_has_class_and_sqlstate_of_an_error_and_not_its_words() -> None:
    assert name_of(asyncpg.UndefinedColumnError("secret")) == "UndefinedColumnError (42703)"
    assert name_of(OSError("secret")) == "OSError"
