"""``nova-stream doctor``."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.start import prepare_quiet

if TYPE_CHECKING:
    from nova_stream.cli.checks import Finding


def doctor(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object.")
    ] = False,
) -> int:
    """Check settings, Kafka, Postgres, topics, lag and dead letters, and say what to do.

    Exit status 1 if there is any problem.
    """
    findings = asyncio.run(_examine(show=not as_json))
    healthy = all(finding.ok for finding in findings)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode({"ok": healthy, "checks": findings}).decode())
    return 0 if healthy else 1


async def _examine(*, show: bool) -> list[Finding]:
    """All findings, shown as they come: a check may take seconds."""
    from nova_stream.errors import SettingsError

    try:
        settings = prepare_quiet()
    except SettingsError as error:
        from nova_stream.cli.checks import Finding

        found = [Finding("settings", ok=False, message=line) for line in str(error).splitlines()]
        if show:
            for finding in found:
                _show(finding)
        return found

    from nova_stream.cli.check_registry import check_registry
    from nova_stream.cli.checks import Finding, examine
    from nova_stream.clock import system_clock

    found = [Finding("settings", ok=True, message="can be read"), *_misspelt()]
    if (registry := await check_registry(settings)) is not None:
        found.append(registry)
    if show:
        for finding in found:
            _show(finding)
    async for finding in examine(settings, system_clock):
        found.append(finding)
        if show:
            _show(finding)
    return found


def _misspelt() -> list[Finding]:
    """Warnings: the settings can be read, but somebody meant one that is not set."""
    from nova_stream.cli.checks import Finding
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
