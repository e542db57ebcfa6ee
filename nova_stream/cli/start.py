"""What commands do before their work: settings, logs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from nova_stream.local.stack_env import made_by_stack

if TYPE_CHECKING:
    from nova_stream.local.stack_env import FoundStack
    from nova_stream.settings import Settings
    from nova_stream.storage.database import Connection

T = TypeVar("T")

#: What says where Kafka and Postgres are: who gives one of them means no stack of `dev`.
_PLACES = {"NOVA_KAFKA_BROKERS", "NOVA_DATABASE_URL"}


def prepare(program: str = "nova-stream", *, tell: bool = True) -> Settings:
    """The settings of a command that runs until it is stopped; its logs go to standard error, and
    its spans, if any, are those of ``program``. Those of a running ``nova-stream dev`` count;
    ``tell``: standard error says so.

    Raises SettingsError.
    """
    from nova_stream import tracing
    from nova_stream.settings import load_settings
    from nova_stream.telemetry import configure_logging

    stack = stack_in_use()
    if stack is not None and tell:
        typer.echo(f"note: {told_of(stack)}", err=True)
    settings = load_settings(**_settings_of(stack))
    configure_logging(settings)
    tracing.start(settings, program)
    return settings


def stack_in_use() -> FoundStack | None:
    """The stack of ``nova-stream dev`` in or above the current folder; None without one, and where
    the environment or ``.env`` says where Kafka or Postgres is.
    """
    from nova_stream.local.stack_env import find_stack

    if _PLACES & _given():
        return None
    return find_stack(Path.cwd(), os.environ)


def told_of(stack: FoundStack) -> str:
    """Which file is used, or why not, in a line."""
    path, folder = short_path(stack.path), short_path(stack.path.parent)
    return {
        "running": f"settings from {path}",
        "starting": f"nova-stream dev is starting in {folder} and has not written its settings yet",
        "stopped": f"the stack in {folder} is not running; nova-stream dev starts it",
        "foreign": f"{path} is not used: it must be yours, and writable by nobody else",
    }[stack.state]


def _settings_of(stack: FoundStack | None) -> dict[str, str]:
    """A stack's settings but those that the environment or ``.env`` gives, as overrides."""
    if stack is None:
        return {}
    given = _given()
    return {
        name.removeprefix("NOVA_").lower(): value
        for name, value in stack.settings.items()
        if name not in given
    }


def _given() -> set[str]:
    """The variables that the environment or ``.env`` gives, but for what a stack made."""
    from nova_stream.settings import given_variables

    return given_variables().keys() - made_by_stack(os.environ)


def short_path(path: Path) -> str:
    """A path as it is shown: relative to the current folder where it lies in there, with the ./
    that a shell's ``.`` needs.
    """
    absolute = path.expanduser().resolve()
    here = Path.cwd()
    if absolute.is_relative_to(here):
        return f".{os.sep}{absolute.relative_to(here)}"
    return str(absolute)


def prepare_long_run(program: str) -> Settings:
    """``prepare``, and a line that names misspelt variables: what they were to set is not set."""
    settings = prepare(program)
    from nova_stream.settings import unknown_variables
    from nova_stream.telemetry import get_logger

    if unknown := unknown_variables():
        _log = get_logger(__name__)
        _log.warning(
            "variables that are not settings",
            variables=list(unknown),
            meant=[meant for meant in unknown.values() if meant is not None],
            then="they have no effect",
        )
    return settings


def prepare_quiet(*, tell: bool = True) -> Settings:
    """The settings of a command that answers once: its error line says what the Kafka client's
    log would say, unless NOVA_LOG_LEVEL=debug asks for that too.
    """
    settings = prepare(tell=tell)
    if settings.log_level != "debug":
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    return settings


def on_database(
    settings: Settings, application: str, work: Callable[[Connection], Awaitable[T]]
) -> T:
    """What ``work`` gives, over a connection of its own that is named ``application``.

    Raises DatabaseUnavailableError, SchemaVersionError, or what ``work`` raises.
    """

    async def run() -> T:
        from nova_stream.storage.database import open_session

        async with open_session(settings, application) as connection:
            return await work(connection)

    return asyncio.run(run())
