"""How commands print: tables for people, whole lines for pipes."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from datetime import datetime

Item = TypeVar("Item")
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="At most this many.")]

#: Wide enough for every line: a pipe's reader breaks none.
_PIPE_WIDTH = 10_000
#: In milliseconds.
_SECOND, _MINUTE = 1000, 60_000
#: So many hours, and days are told instead.
_HOURS = 48


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], right: Collection[str] = ()
) -> None:
    """Print a table on standard output; the last column may fill what is left of a terminal, and
    columns that are ``right`` end at the same place, as numbers should.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        justify: Literal["right", "left"] = "right" if column in right else "left"
        last = column == columns[-1]
        table.add_column(column, no_wrap=not last, overflow="fold", justify=justify)
    for row in rows:
        table.add_row(*(Text(printable(str(value))) for value in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


def print_list(
    items: Sequence[Item],
    columns: Sequence[str],
    row: Callable[[Item], Sequence[object]],
    *,
    as_json: bool,
    none: str,
    more: bool,
    right: Collection[str] = (),
) -> None:
    """Print ``items`` as JSON, or a row each; ``none`` is what is said where there are none, and
    where there are ``more`` than these, that is said in both.
    """
    if as_json:
        print_json({"items": items, "more": more})
        return
    if items:
        print_table(columns, [row(item) for item in items], right)
    else:
        typer.echo(none)
    if more:
        typer.echo("there are more; --limit N shows up to N")


def print_count(verb: str, count: int, *, as_json: bool) -> None:
    """Print to how many of them something was done."""
    typer.echo(f'{{"{verb}": {count}}}' if as_json else f"{verb} {count}")


def print_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Print a line for each name and its value."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        typer.echo(f"{name:{width}}  {printable(str(value))}")


def print_json(value: Any) -> None:
    """Print ``value`` as one line of JSON."""
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())


def time_text(instant: datetime | None) -> str | None:
    """A time as it is printed; None for none."""
    from nova_stream.clock import isoformat

    return None if instant is None else isoformat(instant)


def duration_text(millis: float | None) -> str:
    """A length of time as the pages write it (``duration`` in ``js/format.js``); - for None."""
    if millis is None:
        return "-"
    if millis < _SECOND - 0.5:
        return f"{_rounded(millis)} ms"
    if millis < _MINUTE - 50:
        return f"{_rounded(millis / 100) / 10:.1f} s"
    minutes, seconds = divmod(_rounded(millis / _SECOND), 60)
    hours, minutes_left = divmod(minutes, 60)
    if not hours:
        return _two(minutes, "min", seconds, "s")
    if hours < _HOURS:
        return _two(hours, "h", minutes_left, "min")
    return _two(hours // 24, "d", hours % 24, "h")


def _rounded(number: float) -> int:
    """Half up, as browsers round; ``round`` goes to the even neighbour."""
    return math.floor(number + 0.5)


def _two(whole: int, unit: str, rest: int, unit_of_rest: str) -> str:
    return f"{whole} {unit} {rest} {unit_of_rest}" if rest else f"{whole} {unit}"


def seconds_text(millis: float | None) -> str:
    """A length of time in seconds; - for None."""
    return "-" if millis is None else f"{millis / _SECOND:.3f} s"


def printable(text: str) -> str:
    """``text`` on one line, without what would steer a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
