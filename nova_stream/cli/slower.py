"""Which agents got slower, and in which executions: what ``nova-stream agents --slower`` shows."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

import typer

from nova_stream.cli.executions import COLUMNS, RIGHT, execution_row
from nova_stream.cli.start import on_database
from nova_stream.cli.tables import duration_text, print_json, print_list, print_table, printable

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.lists.slowest import SlowestExecutions
    from nova_stream.storage.stats.buckets import Range
    from nova_stream.storage.stats.compared import Compared, ComparedAgent

#: More than all agents.
_EVERY = 1_000_000
_NONE = "no agent has an execution with a duration in either range"
_AGENTS = ("agent", "p95 before", "p95 now", "change", "executions before", "executions now", "")


def show_agents(
    settings: Settings, asked: Range, limit: int, *, unregistered: bool, as_json: bool
) -> None:
    """The agents that got slower, the one that did the most first; as JSON all of them."""
    from nova_stream.storage.stats.compared import FEW, compare_agents

    wanted = limit if as_json else _EVERY
    read = partial(compare_agents, asked=asked, rows=wanted, unregistered=unregistered)
    found = on_database(settings, "agents", read)
    if as_json:
        print_json(found)
        return
    slower = [row for row in found.items if (row.change or 0) > 0]
    rows = slower[:limit]
    print_list(
        rows,
        _AGENTS,
        _agent_row,
        as_json=False,
        none="no agent got slower" if found.items else _NONE,
        more=len(slower) > limit,
        right=set(_AGENTS[1:-1]),
    )
    typer.echo(
        f"now: from {found.from_} to before {found.to}; before: as much time up to it, "
        f"from {found.before_from}"
    )
    if any(row.few for row in rows):
        typer.echo(f"few: fewer than {FEW} executions on a side, so that chance decides")
    _tell_error(found.percentile_error)
    if others := len(found.items) - len(slower):
        typer.echo(f"not slower, or without executions to compare: {others} (--json has them)")
    worst = rows[0] if rows else None
    if worst is not None and not worst.few:
        typer.echo(
            f"in which executions: nova-stream agents {shlex.quote(worst.agent_name)} --slower "
            f"--from {found.from_} --to {found.to}"
            + ("" if worst.registered else " --unregistered")
        )


def show_executions(
    settings: Settings,
    name: str,
    found: SlowestExecutions,
    *,
    as_json: bool,
) -> None:
    """How one agent's executions compare, and those of them that took longer than before."""
    if as_json:
        print_json(found)
        return
    if found.min_duration is None:
        rows = found.items
    else:
        least = found.min_duration
        rows = [row for row in found.items if (row.duration or 0) >= least]
    if rows:
        print_table(COLUMNS, [execution_row(row) for row in rows], RIGHT)
    # Last, so that it stands above the prompt however long the table is.
    typer.echo(_sentence(name, found))
    _tell_error(found.percentile_error)
    if found.slower is not None and len(rows) < found.slower:
        typer.echo(f"these are the longest {len(rows)} of {found.slower}; --limit N shows up to N")


def _tell_error(error: float) -> None:
    if error:
        typer.echo("percentiles are within 1 %, since a whole day lies in the range")


def _sentence(name: str, found: SlowestExecutions) -> str:
    now = f"from {found.from_} to before {found.to}"
    if found.p95 is None:
        return f"{printable(name)} has no execution with a duration {now}"
    if found.min_duration is None:
        return (
            f"{printable(name)}: p95 is {duration_text(found.p95)} {now}, and as much time before "
            "has no execution with a duration to compare it with; these are the longest"
        )
    few = "; few executions, so that chance decides" if found.few else ""
    return (
        f"{printable(name)}: p95 was {duration_text(found.p95_before)} in as much time before "
        f"({found.executions_before} executions), and is {duration_text(found.p95)} {now}: "
        f"{found.slower} of {found.executions} executions took longer than the p95 before{few}"
    )


def _agent_row(row: ComparedAgent) -> tuple[object, ...]:
    return (
        row.agent_name,
        duration_text(row.p95_before),
        duration_text(row.p95),
        _change(row),
        row.executions_before,
        row.executions,
        "few" if row.few else "",
    )


def _change(row: Compared) -> str:
    return "-" if row.change is None else f"{row.change:+.0f} %"
