"""The command line ``nova-stream``: its commands, and one line for whatever goes wrong.

Commands are thin and import what they need when they run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from nova_stream.cli import (
    agents,
    alerts,
    archive,
    audit,
    bench,
    builds,
    capture,
    dead_letters,
    doctor,
    executions,
    jobs,
    logs,
    migrate,
    programs,
    publish,
    status,
    tokens,
    topics,
    trail,
)
from nova_stream.errors import MissingExtraError, NovaStreamError
from nova_stream.extras import missing

_INTERRUPTED = 130
#: Postgres's code for what a role may not do.
_INSUFFICIENT_PRIVILEGE = "42501"

app = typer.Typer(
    name="nova-stream",
    help="Statistics of agents and builds that are right at every instant: change events from "
    "Kafka in, an exact cache in Postgres out.",
    epilog="Settings come from NOVA_… variables and from .env, else from a running "
    "`nova-stream dev` in or above the current folder. Exit status: 0 good, 1 the answer is bad, "
    "2 wrong usage.",
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

_START = "Start here"
_RUN = "Run it"
_LOOK = "Look after it"

app.command("dev", rich_help_panel=_START)(programs.dev)
app.command("publish", rich_help_panel=_START)(publish.publish)
app.command("doctor", rich_help_panel=_START)(doctor.doctor)
app.command("migrate", rich_help_panel=_RUN)(migrate.migrate)
app.command("worker", rich_help_panel=_RUN)(programs.worker)
app.command("api", rich_help_panel=_RUN)(programs.api)
app.add_typer(capture.app, name="capture", rich_help_panel=_RUN)
app.command("status", rich_help_panel=_LOOK)(status.status)
app.command("agents", rich_help_panel=_LOOK)(agents.agents)
app.command("builds", rich_help_panel=_LOOK)(builds.builds)
app.command("logs", rich_help_panel=_LOOK)(logs.logs)
app.add_typer(tokens.app, name="tokens", rich_help_panel=_LOOK)
app.command("trail", rich_help_panel=_LOOK)(trail.trail)
app.add_typer(jobs.app, name="jobs", rich_help_panel=_LOOK)
app.add_typer(alerts.app, name="alerts", rich_help_panel=_LOOK)
app.command("audit", rich_help_panel=_LOOK)(audit.audit)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=_LOOK)
app.add_typer(topics.app, name="topics", rich_help_panel=_LOOK)
app.add_typer(executions.app, name="executions", rich_help_panel=_LOOK)
app.add_typer(archive.app, name="archive", rich_help_panel=_LOOK)
app.command("bench", rich_help_panel=_LOOK, context_settings=bench.CONTEXT)(bench.bench)
app.command("demo", hidden=True)(programs.demo)


def main() -> None:
    """Run the command in ``sys.argv`` and leave the process with its exit status."""
    status = run(sys.argv[1:])
    if "nova_stream.tracing" in sys.modules:  # where the command has prepared anything
        sys.modules["nova_stream.tracing"].finish()
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit status. What goes wrong is one line on standard error."""
    command = _without_types_of_flags(typer.main.get_command(app))
    words = list(arguments) or ["--help"]
    try:
        status = command.main(words, prog_name="nova-stream", standalone_mode=False)
    except NovaStreamError as error:
        _complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except ModuleNotFoundError as error:
        told = missing(error)
        if not isinstance(told, MissingExtraError):
            return _explain(error)
        _complain(str(told))
        return told.exit_status
    except Exception as error:
        return _explain(error)
    return status if isinstance(status, int) else 0


def _explain(error: Exception) -> int:
    """Wrong usage in typer's words; everything else is unforeseen."""
    # By what it can do: the class is click's, or one of typer's own, by its version.
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "nova-stream"
        message = format_message().replace("Value error, ", "")  # typer's own, of pydantic
        _complain(f"{message} ({path} --help shows what is allowed)")
        return int(getattr(error, "exit_code", 2))

    if (refused := _refused_by_postgres(error)) is not None:
        _complain(refused)
        return 1
    if os.environ.get("NOVA_LOG_LEVEL", "").lower() == "debug":
        traceback.print_exception(error)
    _complain(
        f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'} "
        "(unexpected; NOVA_LOG_LEVEL=debug shows where)"
    )
    return 1


def _refused_by_postgres(error: Exception) -> str | None:
    """What to say of a statement that the database's role may not run; None for other errors."""
    if getattr(error, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
        return None
    return (
        f"Postgres refuses: {error}. The role in NOVA_DATABASE_URL may not do this: migrate, "
        "tokens and trail run as nova_migrate (the tables' owner), the rest as nova_worker"
    )


def _complain(message: str) -> None:
    for line in message.splitlines():
        sys.stderr.write(f"error: {line}\n")


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer's callback)
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nova-stream {version('nova-stream')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    del version  # its callback has answered


def _without_types_of_flags(command: Any, parent: typer.Context | None = None) -> Any:
    """``command`` and all below it: no type beside flags, ``--help`` and arguments, which typer
    calls ``<bool>`` and ``<str>``. An argument's name says what it is.
    """
    context = typer.Context(command, parent=parent, **command.context_settings)
    for parameter in [*command.params, command.get_help_option(context)]:
        if parameter is None:
            continue
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = _nothing
        elif parameter.is_flag and parameter.metavar is None:
            parameter.metavar = ""
    for inner in getattr(command, "commands", {}).values():
        _without_types_of_flags(inner, context)
    return command


def _nothing(ctx: Any) -> None:
    """Instead of a type."""


if __name__ == "__main__":
    main()
