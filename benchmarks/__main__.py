"""``python -m benchmarks``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import capture, freshness, memory, report, scale, source_audit, throughput

NAMES = ("throughput", "freshness", "memory")


def _arguments(words: list[str]) -> argparse.Namespace:
    """What ``words`` ask for; without any, help: what takes many minutes is asked for by name."""
    parser = argparse.ArgumentParser(
        prog="nova-stream bench",
        description="Measure nova-stream on this machine, with a Kafka and a Postgres of its own.",
    )
    parser.add_argument(
        "name",
        choices=(*NAMES, "source-audit", "capture", "all"),
        help=f"all: {', '.join(NAMES)}",
    )
    parser.add_argument(
        "--events",
        type=int,
        default=throughput.EVENTS,
        metavar="N",
        help="throughput: events in the backlog (%(default)s)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=throughput.ROUNDS,
        metavar="N",
        help="throughput: turns of each program (%(default)s)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="throughput, freshness: measure another checkout, too",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="WORD",
        help="throughput: only the programs whose name begins so",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=freshness.SECONDS,
        metavar="S",
        help="freshness: how long each load lasts (%(default)s)",
    )
    parser.add_argument(
        "--entities",
        type=int,
        nargs="+",
        default=memory.ENTITIES,
        metavar="N",
        help="memory: distinct entities (%(default)s)",
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=source_audit.ROWS,
        metavar="N",
        help="source-audit: rows on each side (%(default)s)",
    )
    parser.add_argument(
        "--documents",
        type=int,
        default=capture.DOCUMENTS,
        metavar="N",
        help="capture: documents of the deployment (%(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    return parser.parse_args(words or ["--help"])


def main() -> None:
    """Run what is asked for, print tables, and write the results as JSON where wanted."""
    if sys.argv[1:2] == ["scale"]:  # it has sizes of its own
        scale.main(sys.argv[2:])
        return
    given = _arguments(sys.argv[1:])
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform(terse=True)}
    }
    if given.name in {"throughput", "all"}:
        results["throughput"] = throughput.measure(
            report.say,
            events=given.events,
            rounds=given.rounds,
            against=given.against,
            only=tuple(given.only),
        )
        report.throughput(results["throughput"])
    if given.name in {"freshness", "all"}:
        results["freshness"] = freshness.measure(
            report.say, seconds=given.seconds, against=given.against
        )
        report.freshness(results["freshness"])
    if given.name in {"memory", "all"}:
        results["memory"] = memory.measure(report.say, entities=tuple(given.entities))
        report.memory(results["memory"])
    if given.name == "source-audit":  # not a part of all: about the audit, not the stream
        results["source_audit"] = source_audit.measure(report.say, rows=given.rows)
        report.source_audit(results["source_audit"])
    if given.name == "capture":  # likewise: about the capture
        results["capture"] = capture.measure(report.say, documents=given.documents)
        report.capture(results["capture"])
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))


if __name__ == "__main__":
    main()
