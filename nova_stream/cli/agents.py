"""``nova-stream agents``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.groups import did_you_mean
from nova_stream.cli.lists import ALL_BYTES
from nova_stream.cli.start import on_database, prepare_quiet
from nova_stream.cli.tables import Json, Limit, duration_text, print_fields, print_json, print_list
from nova_stream.cli.times import From, To, time_range
from nova_stream.errors import NovaStreamError

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.database import Connection
    from nova_stream.storage.lists.slowest import SlowestExecutions
    from nova_stream.storage.stats.buckets import Range
    from nova_stream.storage.stats.range_rows import AgentRange, Figures
    from nova_stream.storage.stats.rows import AgentStats, NamedAgentStats

#: Names that a misspelt one is compared with, those that were active last.
_COMPARED = 10_000
_ALL_TIME = ("agent", "tasks", "done", "failed", "success", "mean", "status", "last active", "role")
_RANGE = (
    "agent",
    "done",
    "failed",
    "success",
    "an hour",
    "executions",
    "mean",
    "p50",
    "p95",
    "p99",
    "role",
)


def agents(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only the agent of this name.")
    ] = None,
    *,
    start: From = None,
    to: To = None,
    unregistered: Annotated[
        bool,
        typer.Option(
            "--unregistered",
            metavar="",
            help="Also names that tasks or executions give and no registered agent has.",
        ),
    ] = False,
    slower: Annotated[
        bool,
        typer.Option(
            "--slower",
            metavar="",
            help="Which got slower than in as much time before, the worst first; of one agent, in "
            "which executions. Without --from of the last 24 hours.",
        ),
    ] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Show the statistics of all agents, or of one: of all time, or of a range of time.

    Of all time, success is the share of all tasks, unfinished ones included; of a range, that of
    the tasks that finished in it. Times are UTC.
    """
    from nova_stream.clock import system_clock

    settings = prepare_quiet()
    asked = time_range("24h" if slower and start is None else start, to, system_clock())
    if slower and asked is not None:
        _show_slower(settings, name, asked, limit, unregistered=unregistered, as_json=as_json)
        return
    if name is not None:
        read = partial(_one, name=name, asked=asked, unregistered=unregistered)
        _show_one(on_database(settings, "agents", read), as_json=as_json)
        return
    from msgspec import to_builtins

    from nova_stream.storage.stats.ranges import agents_range
    from nova_stream.storage.stats.read import Bounds, agents_stats

    bounds = Bounds(limit, ALL_BYTES)
    if asked is None:
        every = partial(agents_stats, bounds=bounds, unregistered=unregistered)
        page = on_database(settings, "agents", every)
        if as_json:
            print_json({"items": page.rows, "more": page.next is not None})
        else:
            _print(_ALL_TIME, [_row(row) for row in page.rows], more=page.next is not None)
    else:
        ranged = partial(
            agents_range, asked=asked, bounds=bounds, cursor=None, unregistered=unregistered
        )
        found, names = on_database(settings, "agents", ranged)
        if as_json:
            # A command goes to no cursor.
            fields = {k: v for k, v in to_builtins(found).items() if not k.endswith("Cursor")}
            print_json({**fields, "more": names.next is not None})
        else:
            rows_ = [_range_row(row.agent_name, row, row.role) for row in found.items]
            rows_.append(_range_row("(all)", found.overall, None))
            _print(_RANGE, rows_, more=names.next is not None)
            typer.echo(f"from {found.from_} to before {found.to}")


def _show_slower(
    settings: Settings,
    name: str | None,
    asked: Range,
    limit: int,
    *,
    unregistered: bool,
    as_json: bool,
) -> None:
    from nova_stream.cli.slower import show_agents, show_executions

    if name is None:
        show_agents(settings, asked, limit, unregistered=unregistered, as_json=as_json)
        return
    read = partial(_slowest, name=name, asked=asked, limit=limit, unregistered=unregistered)
    show_executions(settings, name, on_database(settings, "agents", read), as_json=as_json)


async def _slowest(
    connection: Connection, name: str, asked: Range, limit: int, *, unregistered: bool
) -> SlowestExecutions:
    from nova_stream.storage.lists.slowest import slowest
    from nova_stream.storage.stats.read import Bounds

    found = await slowest(
        connection,
        name,
        asked,
        Bounds(limit, ALL_BYTES),
        unregistered=unregistered,
        documents=False,
    )
    if found is None:
        raise await _unknown(connection, name, unregistered=unregistered)
    return found


def _print(columns: tuple[str, ...], rows: list[tuple[object, ...]], *, more: bool) -> None:
    right = set(columns) - {"agent", "status", "last active", "role"}
    print_list(rows, columns, tuple, as_json=False, none="no agents", right=right, more=more)


async def _one(
    connection: Connection, name: str, asked: Range | None, *, unregistered: bool
) -> NamedAgentStats | AgentRange:
    from nova_stream.storage.stats import ranges, read

    found: NamedAgentStats | AgentRange | None
    if asked is None:
        found = await read.agent_stats(connection, name, unregistered=unregistered)
    else:
        found = await ranges.agent_range(connection, asked, name, unregistered=unregistered)
    if found is None:
        raise await _unknown(connection, name, unregistered=unregistered)
    return found


async def _unknown(connection: Connection, name: str, *, unregistered: bool) -> NovaStreamError:
    hint = await _hint(connection, name, unregistered=unregistered)
    return NovaStreamError(f"no registered agent is called {name!r}; {hint}")


async def _hint(connection: Connection, name: str, *, unregistered: bool) -> str:
    """What to do about a name that no agent has."""
    from nova_stream.storage.stats.read import Bounds, agent_stats, agents_stats

    if not unregistered and await agent_stats(connection, name, unregistered=True):
        return "--unregistered shows what counts under it all the same"
    known = await agents_stats(connection, Bounds(_COMPARED, ALL_BYTES), unregistered=unregistered)
    names = [row.agent_name for row in known.rows]
    return did_you_mean(name, names, "nova-stream agents lists them")


def _show_one(found: NamedAgentStats | AgentRange, *, as_json: bool) -> None:
    from nova_stream.storage.stats.range_rows import AgentRange

    if as_json:
        print_json(found)
        return
    if isinstance(found, AgentRange):
        row = _range_row(found.agent_name, found, found.role)
        fields = [*zip(_RANGE, row, strict=True), ("from", found.from_), ("to", found.to)]
    else:
        fields = [*zip(_ALL_TIME, _row(found), strict=True)]
        fields += [
            ("id", found.agent_id or "not registered"),
            ("written at", found.cached_at or "-"),
        ]
        fields += [("also", other) for other in found.other_agent_ids]
    print_fields(fields)


def _row(row: AgentStats) -> tuple[object, ...]:
    return (
        row.agent_name,
        row.total_tasks,
        row.completed_tasks,
        row.failed_tasks,
        _percent(row.success_rate),
        duration_text(row.avg_duration),
        row.current_status,
        row.last_active or "-",
        (row.role or "-") if row.registered else "(not registered)",
    )


def _range_row(name: str, row: Figures, role: str | None) -> tuple[object, ...]:
    return (
        name,
        row.completed_tasks,
        row.failed_tasks,
        _percent(row.success_rate),
        f"{row.throughput:g}",
        row.executions,
        *map(
            duration_text,
            (row.avg_duration, row.p50_duration, row.p95_duration, row.p99_duration),
        ),
        role or "-",
    )


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.2f} %"
