"""``nova-stream trail``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.start import on_database, prepare_quiet
from nova_stream.cli.tables import Json, print_list

if TYPE_CHECKING:
    from nova_stream.storage.access.trail import TrailRow


def trail(
    *,
    token: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only lines of this token.")
    ] = None,
    refused: Annotated[
        bool, typer.Option("--refused", metavar="", help="Only refused actions.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="Lines at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the audit trail, newest first: what was published, what administrators did or looked
    at, and what was refused. Times are UTC.
    """
    settings = prepare_quiet()
    from nova_stream.storage.access import trail as trail_store

    read = partial(trail_store.page, limit=limit, token=token, refused=True if refused else None)
    rows = on_database(settings, "trail", read).rows
    columns = ("id", "at", "times", "token", "address", "action", "object", "outcome")
    none = "the audit trail has no such line" if token or refused else "nothing yet"
    print_list(rows, columns, _shown, as_json=as_json, none=none)


def _shown(row: TrailRow) -> tuple[object, ...]:
    return (
        row.id,
        row.at,
        row.requests,
        row.token or "-",
        row.address or "-",
        row.action,
        row.object or "-",
        f"refused: {row.outcome}" if row.refused else row.outcome,
    )
