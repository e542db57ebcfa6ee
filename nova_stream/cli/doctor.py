"""``nova-stream doctor``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import Json, print_json

if TYPE_CHECKING:
    from nova_stream.cli.finding import Finding


def doctor(
    *,
    ready: Annotated[
        bool,
        typer.Option(
            "--ready",
            metavar="",
            help="Whether changes are applied: dead letters are a warning only.",
        ),
    ] = False,
    as_json: Json = False,
) -> int:
    """Check settings, Kafka, Postgres, topics, lag and dead letters, and say what to do.

    Exit status 1 if there is any problem.
    """
    findings = asyncio.run(_examine(show=not as_json, ready=ready))
    healthy = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": healthy, "checks": findings})
    return 0 if healthy else 1


async def _examine(*, show: bool, ready: bool) -> list[Finding]:
    """All findings, shown as they come: a check may take seconds."""
    from nova_stream.errors import SettingsError

    try:
        settings = prepare_quiet(tell=False)
    except SettingsError as error:
        from nova_stream.cli.finding import Finding

        found = [Finding("settings", ok=False, message=line) for line in str(error).splitlines()]
        if show:
            for finding in found:
                _show(finding)
        return found

    from nova_stream.cli.check_registry import check_registry
    from nova_stream.cli.checks import examine
    from nova_stream.clock import system_clock

    found = [_settings(), *_misspelt()]
    if (registry := await check_registry(settings)) is not None:
        found.append(registry)
    if show:
        for finding in found:
            _show(finding)
    async for finding in examine(settings, system_clock, ready=ready):
        found.append(finding)
        if show:
            _show(finding)
    return found


def _settings() -> Finding:
    """That they can be read, and whether a stack of ``nova-stream dev`` gave them."""
    from nova_stream.cli.finding import Finding
    from nova_stream.cli.start import short_path, stack_in_use, told_of

    stack = stack_in_use()
    if stack is None:
        return Finding("settings", ok=True, message="can be read")
    if stack.state == "running":
        return Finding("settings", ok=True, message=f"can be read, from {short_path(stack.path)}")
    return Finding("settings", ok=True, message="defaults are used", advice=told_of(stack))


def _misspelt() -> list[Finding]:
    """Warnings: the settings can be read, but somebody meant one that is not set."""
    from nova_stream.cli.finding import Finding
    from nova_stream.settings import unknown_variables

    return [
        Finding(
            "settings",
            ok=True,
            message=f"{name} is not a setting and has no effect",
            advice=f"{meant} is meant?" if meant else "see docs/settings.md",
        )
        for name, meant in unknown_variables().items()
    ]


def _show(finding: Finding) -> None:
    verdict = "PROBLEM" if not finding.ok else "warning" if finding.advice else "ok     "
    advice = f" -> {finding.advice}" if finding.advice else ""
    typer.echo(f"{verdict}  {finding.check:12}  {finding.message}{advice}")
