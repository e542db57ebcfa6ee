"""``nova-stream audit``."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import asyncio

import typer

from nova_stream.cli.start import prepare_quiet


def audit() -> int:
    """Recount everything and compare it with both caches.

    Counts the entity rows in one snapshot, while everything runs, and prints JSON. Exit status 1
    on any difference.
    """
    settings = prepare_quiet()
    import msgspec

    from nova_stream.storage.audit import audit as run_audit

    report = asyncio.run(run_audit(settings))
    typer.echo(msgspec.json.encode(report).decode())
    return 1 if report.differences else 0
