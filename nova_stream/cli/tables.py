"""How commands print: tables for people, whole lines for pipes."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import sys
from collections.abc import Sequence

#: Wide enough for every line: a pipe's reader breaks none.
_PIPE_WIDTH = 10_000


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on standard output; the last column may fill what is left of a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(value))) for value in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


def printable(text: str) -> str:
    """``text`` on one line, without what would steer a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
