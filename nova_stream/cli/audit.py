"""``nova-stream audit``."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import Json, print_json
from nova_stream.cli.trail import told
from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from nova_stream.events.change import Entity
    from nova_stream.settings import Settings
    from nova_stream.source_audit.compare import SourceReport


def audit(
    *,
    source: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Compare with this database: postgresql://… or convex."),
    ] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option(metavar="E", help="Only this entity; may be repeated."),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="E=TABLE", help="The source's table of an entity; may be repeated."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", metavar="", help="Publish what differs.")
    ] = False,
    settle: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="The longest time that a change may take from the source to Kafka.",
        ),
    ] = 30.0,
    as_json: Json = False,
) -> int:
    """Recount everything and compare it with both caches; or compare the rows with their source.

    Counts the entity rows in one snapshot, while everything runs, and prints JSON. Exit status 1
    on any difference.

    With `--source` the source's own tables are compared with nova-stream's rows, while both go on
    changing: what is only on its way is waited for. The last line is JSON with the numbers of
    missing, surplus and different rows and the first 100 of them; `--repair` publishes these.
    """
    del as_json  # it is JSON in any case
    if source is None:
        given = [("--entity", entity), ("--table", table), ("--repair", repair)]
        for option, value in given:
            if value:
                raise UsageError(f"{option} needs --source URL")
        return _audit_caches()

    settings = prepare_quiet()
    report = asyncio.run(
        _compare(
            settings, source, _entities(entity or []), _tables(table or []), settle, repair=repair
        )
    )
    print_json(report)
    return 0 if report.good else 1


def _audit_caches() -> int:
    settings = prepare_quiet()
    from nova_stream.storage.audit.audit import audit as run_audit

    report = asyncio.run(run_audit(settings))
    print_json(report)
    return 1 if report.differences else 0


async def _compare(
    settings: Settings,
    url: str,
    entities: list[Entity],
    tables: dict[Entity, str],
    settle: float,
    *,
    repair: bool,
) -> SourceReport:
    import time

    from nova_stream.clock import system_clock
    from nova_stream.source_audit.audit import SourceAudit
    from nova_stream.source_audit.sources import open_source

    about = ", ".join(entities) or "all entities"
    # Without a repair it only reads, and shows ids and names of fields.
    line = told(settings, "audit --repair", about) if repair else nullcontext()
    async with line, open_source(url, tables, settings) as source:
        audit = SourceAudit(
            settings,
            source,
            settle=settle,
            clock=system_clock,
            monotonic=time.monotonic,
            tell=lambda line: typer.echo(line, err=True),
        )
        return await audit.run(entities, repair=repair)


def _entities(names: list[str]) -> list[Entity]:
    return [_entity("--entity", name) for name in names]


def _tables(given: list[str]) -> dict[Entity, str]:
    tables = {}
    for item in given:
        name, separator, table = item.partition("=")
        if not separator or not table:
            raise UsageError(f"--table {item}: ENTITY=TABLE is allowed, as tasks=public.work_items")
        tables[_entity("--table", name)] = table
    return tables


def _entity(option: str, name: str) -> Entity:
    from nova_stream.events.change import Entity

    try:
        return Entity(name)
    except ValueError:
        allowed = ", ".join(Entity)
        raise UsageError(f"{option} {name}: allowed is {allowed}") from None
