"""``nova-stream migrate``."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import Json, print_json


def migrate(
    *,
    roles: Annotated[
        bool,
        typer.Option(
            "--roles",
            help="Also make the roles nova_migrate, nova_worker, nova_api and nova_bi, with what "
            "each needs and no more. NOVA_ROLE_PASSWORD_… lets one log in.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the database to the newest schema.

    Safe to repeat, and to run from several machines at once.
    """
    settings = prepare_quiet()
    from nova_stream.cli.trail import command_line
    from nova_stream.clock import system_clock
    from nova_stream.storage.migrate import migrate as run_migrate

    line = command_line("migrate --roles" if roles else "migrate", None, "done", system_clock())
    before, after = asyncio.run(run_migrate(settings, with_roles=roles, told=line))
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        typer.echo(f"schema {after}: nothing to do")
    else:
        typer.echo(f"schema {before or 'none'} -> {after}")
