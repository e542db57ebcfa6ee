"""The results as a table, for terminals and for docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

COLUMNS = (
    "",
    "events/s into Postgres",
    "of nova-stream's",
    "rows exact",
    "statistics exact",
    "snapshots that differ",
    "exact after kill -9 (after)",
    "fresh idle, p50/p99 ms",
    "fresh at {rate:,}/s, p50/p99 ms",
    "memory MB",
)


def markdown(result: dict[str, Any]) -> str:
    """The table, and below it what was left out with the reason."""
    columns = [name.format(rate=result["sizes"]["rate"]) for name in COLUMNS]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_row(peer)) + " |" for peer in result["peers"]]
    lines += [
        f"\nLEFT OUT: **{one['name']}**, {one['what']}: {_one_line(one['reason'])}"
        for one in result["left_out"]
    ]
    return "\n".join(lines) + "\n"


def merged(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Two results as one: what the later one has not measured is taken from the earlier one."""
    before = {peer["name"]: peer for peer in earlier["peers"]}
    peers = []
    for peer in later["peers"]:
        known = before.pop(peer["name"], {})
        measured = {k: v for k, v in peer.items() if v not in (None, [], {})}
        fresh = {**known.get("freshness_ms", {}), **peer["freshness_ms"]}
        peers.append({**peer, **known, **measured, "freshness_ms": fresh})
    left = [*earlier["left_out"], *later["left_out"]]
    return {**later, "peers": [*peers, *before.values()], "left_out": left}


def _row(peer: dict[str, Any]) -> list[str]:
    kept = peer["keeps_statistics"]
    rate, ratio = peer["events_per_s"], peer["ratio_to_nova_stream"]
    none = "keeps none"
    differing = peer["snapshots_differing"]
    return [
        peer["name"],
        "not measured" if rate is None else f"{rate:,.0f}",
        "" if ratio is None else f"{ratio:.2f}",
        _yes(peer["rows_exact"]),
        _yes(peer["statistics_exact"]) if kept else none,
        ("not looked at" if differing is None else f"{differing} of {peer['snapshots']}")
        if kept
        else none,
        _after_kill(peer),
        _fresh(peer, "idle"),
        _fresh(peer, "load"),
        "" if peer["memory_mb"] is None else f"{peer['memory_mb']:,.0f}",
    ]


def _yes(found: bool | None) -> str:
    return "not measured" if found is None else "yes" if found else "NO"


def _after_kill(peer: dict[str, Any]) -> str:
    found = _yes(peer["exact_after_kill"])
    if not peer["exact_after_kill"]:
        return found
    what = "" if peer["keeps_statistics"] else "rows, "
    return f"{found} ({what}{peer['seconds_after_kill']:.0f} s)"


def _fresh(peer: dict[str, Any], load: str) -> str:
    found = peer["freshness_ms"].get(load)
    return "not measured" if found is None else f"{found['p50']:.0f} / {found['p99']:.0f}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
