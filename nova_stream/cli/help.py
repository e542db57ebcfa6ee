"""What ``--help`` shows beside names: the types of values, and nothing where there is no value."""

from __future__ import annotations

from typing import Any

import typer


def without_types_of_flags(command: Any, parent: typer.Context | None = None) -> Any:
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
        without_types_of_flags(inner, context)
    return command


def _nothing(ctx: Any) -> None:
    """Instead of a type."""
