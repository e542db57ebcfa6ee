"""``python -m benchmarks.peers``."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.peers import (
    faust_exact,
    flink,
    handwritten,
    kafka_streams,
    lean,
    nova_stream,
    pathway,
    quix,
)
from benchmarks.peers.peer import Peer
from benchmarks.peers.run import Sizes, measure
from benchmarks.peers.table import markdown, merged
from benchmarks.report import say

PEERS = (
    nova_stream.PEER,
    handwritten.PEER,
    lean.PEER,
    faust_exact.PEER,
    kafka_streams.PEER,
    quix.PEER,
    pathway.PEER,
    flink.PEER,
)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    usual = Sizes()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--events", type=int, default=usual.events, metavar="N")
    parser.add_argument("--rounds", type=int, default=usual.rounds, metavar="N")
    parser.add_argument(
        "--crash-events", type=int, default=usual.crash_events, metavar="N", help="0: no kill -9"
    )
    parser.add_argument(
        "--seconds", type=float, default=usual.seconds, metavar="S", help="freshness; 0: none"
    )
    parser.add_argument(
        "--rate", type=int, default=usual.rate, metavar="N", help="beside freshness"
    )
    parser.add_argument(
        "--limit", type=float, default=usual.limit, metavar="S", help="of one start of a peer"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="besides nova-stream; by first letters",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument(
        "--add",
        type=Path,
        metavar="FILE",
        help="an earlier run's JSON, for what this one leaves out",
    )
    given = parser.parse_args(words)
    unknown = [name for name in given.only if not any(_named(peer, [name]) for peer in PEERS)]
    if unknown:
        names = ", ".join(peer.name for peer in PEERS)
        parser.error(f"no peer's name begins with {', '.join(unknown)}; there are {names}")
    return given


def chosen(only: Sequence[str]) -> list[Peer]:
    """nova-stream and the named ones, or all."""
    return [p for p in PEERS if not only or p is nova_stream.PEER or _named(p, only)]


def _named(peer: Peer, names: Sequence[str]) -> bool:
    return peer.name.lower().startswith(tuple(name.lower() for name in names))


def main() -> None:
    """Measure what is asked for, print the table, and write JSON where wanted."""
    given = parse()
    sizes = Sizes(**{name: getattr(given, name) for name in Sizes._fields})
    machine = {"cores": os.cpu_count(), "system": platform.platform(terse=True)}
    result = {"machine": machine, **measure(say, chosen(given.only), sizes)}
    if given.add is not None:
        result = merged(msgspec.json.decode(given.add.read_bytes()), result)
    print(markdown(result))
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))


if __name__ == "__main__":
    main()
