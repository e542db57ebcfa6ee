"""``nova-stream migrate``."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import asyncio

import typer

from nova_stream.cli.start import prepare_quiet


def migrate() -> None:
    """Bring the database to the newest schema.

    Safe to repeat, and to run from several machines at once.
    """
    settings = prepare_quiet()
    from nova_stream.storage.migrate import migrate as run_migrate

    before, after = asyncio.run(run_migrate(settings))
    if before == after:
        typer.echo(f"schema {after}: nothing to do")
    else:
        typer.echo(f"schema {before or 'none'} -> {after}")
