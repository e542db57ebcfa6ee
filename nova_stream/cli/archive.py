"""``nova-stream archive``."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nova_stream.cli.groups import Group
from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import Json, print_count, print_list, time_text
from nova_stream.cli.trail import told
from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.maintenance.archive import ArchiveObject

app = typer.Typer(
    cls=Group, help="Documents of old executions: list the archive, and restore from it."
)


@app.command("list")
def show_list(*, as_json: Json = False) -> None:
    """List the archive's objects by day."""
    settings = prepare_quiet()
    from nova_stream.jobs.archive.restore import list_objects

    found = asyncio.run(list_objects(settings))
    columns = ("day", "rows", "bytes", "state", "run", "archived at", "object")
    print_list(
        [_fields(known) for known in found],
        columns,
        _row,
        as_json=as_json,
        none="the archive is empty",
        more=False,
    )


@app.command("restore")
def restore(
    day: Annotated[
        str | None, typer.Argument(metavar="DAY", help="A day (UTC), such as 2026-01-21.")
    ] = None,
    *,
    execution: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Only this execution.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put documents back into the database, of a day or of one execution.

    They stay for NOVA_UNDO_DAYS at least.
    """
    settings = prepare_quiet()
    if (day is None) == (execution is None):
        raise UsageError("give either a day or --id")
    count = asyncio.run(_restore(settings, _day(day) if day else None, execution or ""))
    print_count("restored", count, as_json=as_json)


async def _restore(settings: Settings, day: date | None, execution: str) -> int:
    from nova_stream.jobs.archive.restore import restore_day, restore_one

    about = f"execution {execution}" if day is None else str(day)
    async with told(settings, "archive restore", about):
        if day is None:
            return await restore_one(settings, execution)
        return await restore_day(settings, day)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a date; give YYYY-MM-DD, such as 2026-01-21") from None


def _row(fields: dict[str, Any]) -> tuple[object, ...]:
    shown = ("day", "rows", "bytes", "state", "runId", "createdAt", "name")
    return tuple(fields[name] for name in shown)


def _fields(known: ArchiveObject) -> dict[str, Any]:
    return {
        "day": str(known.day),
        "rows": known.rows,
        "bytes": known.bytes,
        "state": known.state,
        "runId": known.run_id,
        "createdAt": time_text(known.created_at),
        "name": known.name,
        "sha256": known.sha256,
        "firstId": known.first_id,
        "lastId": known.last_id,
    }
