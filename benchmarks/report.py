"""What the benchmarks print."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

#: Tells what is being done.
Say = Callable[[str], None]

#: A file or pipe gets whole lines.
console = Console(width=None if sys.stdout.isatty() else 110)


def say(text: str) -> None:
    """One line of progress."""
    console.print(text, style="dim", highlight=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table whose first column is text and whose others are numbers."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    for row in rows:
        made.add_row(*row)
    console.print(made)


def throughput(result: dict[str, Any]) -> None:
    """Rates and ratios."""
    table(
        f"Throughput: a backlog of {result['events']:,} events",
        ("", "events/s", "rounds", "CPU us", "Postgres us", "nova-stream is", "exact"),
        [
            (
                one["name"],
                f"{one['events_per_s']:,}",
                " ".join(f"{rate:,}" for rate in one["rounds"]),
                f"{one['cpu_us']:.1f}",
                f"{one['postgres_cpu_us']:.1f}",
                f"{one['nova_stream_ratio']:.2f} x",
                "yes" if one["exact"] else "NO",
            )
            for one in result["contenders"]
        ],
    )
    for one in result["contenders"]:
        if one["stuck_starts"]:
            console.print(f"{one['name']}: started anew {one['stuck_starts']} times, stuck before")
        for text in one["wrong"][:5]:
            console.print(f"{one['name']}: {text}", style="red", highlight=False)


def freshness(result: dict[str, Any]) -> None:
    """Percentiles a load, beside the targets."""
    table(
        "Freshness: publish to visible in SQL, milliseconds",
        ("background", "", "probes", "p50", "p90", "p99", "max", "target p99", "CPU", "Postgres"),
        [
            (
                f"{one['rate']:,} events/s" if one["rate"] else "idle",
                one["name"],
                str(one["probes"]),
                *(f"{one[name]:.1f}" for name in ("p50", "p90", "p99", "max")),
                *(
                    (
                        f"< {one['target']:g}",
                        f"{one['cpu_share']:.0%}",
                        f"{one['postgres_cpu_share']:.0%}",
                    )
                    if "target" in one
                    else ("", "", "")
                ),
            )
            for one in result["loads"]
        ],
    )


def memory(result: dict[str, Any]) -> None:
    """The worker's memory by number of entities, and with the database away."""
    table(
        "Memory of a worker (resident), MB",
        ("", "highest", "afterwards"),
        [
            (one["what"], f"{one['highest_mb']:.0f}", f"{one['afterwards_mb']:.0f}")
            for one in result["steps"]
        ],
    )


def capture(result: dict[str, Any]) -> None:
    """Time and memory of a deployment's snapshot."""
    table(
        "Snapshot of a Convex deployment, against the stand-in",
        ("documents", "seconds", "documents/s", "peak MB", "exact"),
        [
            (
                f"{result['documents']:,}",
                f"{result['seconds']:.1f}",
                f"{result['per_second']:,}",
                f"{result['peak_mb']:,}",
                "yes" if result["exact"] else "NO",
            )
        ],
    )


def source_audit(result: dict[str, Any]) -> None:
    """Time and memory of a comparison: equal, beside a stream of changes, and with differences."""
    changes = result["beside"]["changes"]
    table(
        f"Comparison with a source of {result['rows']:,} rows",
        ("", "seconds", "peak MB", "compared", "found", "exact"),
        [
            (
                name if name != "beside" else f"beside {changes:,} changes",
                f"{result[name]['seconds']:.1f}",
                f"{result[name]['peak_mb']:,}",
                f"{result[name]['compared']:,}",
                ", ".join(f"{count} {kind}" for kind, count in result[name]["found"].items()),
                "yes" if result["exact"] else "NO",
            )
            for name in ("equal", "beside", "broken")
        ],
    )
