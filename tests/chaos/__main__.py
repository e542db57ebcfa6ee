"""``python -m tests.chaos [--seeds N ...] [--only NAME ...] [--json FILE] [--mutations]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.chaos import judge, matrix
from tests.chaos.field import LeftOutError
from tests.chaos.mutations import MUTATIONS, mutated
from tests.chaos.scenarios import SCENARIOS, Scenario


def main() -> int:
    """Play the scenarios, print a line of each; 0 when every count is zero."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="+", help="scenarios of these names")
    parser.add_argument("--json", type=Path, help="where the verdicts go, too")
    parser.add_argument(
        "--mutations", action="store_true", help="put a fault into the product for each scenario"
    )
    parser.add_argument("--keep", type=Path, help="a folder for the logs of what has a fault")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    given = parser.parse_args()
    only = given.only or [""]
    chosen = [s for s in SCENARIOS if any(word in (s.name, "") for word in only)]
    if given.list or not chosen:
        print(*(scenario.name for scenario in SCENARIOS), sep="\n")
        return 0 if given.list else 2
    if given.mutations:
        return _mutations(chosen, given.seeds[0], given.json)
    began = time.monotonic()
    print(_line("scenario", "seed", *judge.COUNTS, *matrix.FIGURES), flush=True)
    verdicts = []
    for seed in given.seeds:
        for scenario in chosen:
            verdict = _play(scenario, seed, keep=given.keep)
            verdicts.append(verdict)
            show(verdict)
    if given.json is not None:
        given.json.write_text(json.dumps(verdicts, indent=1, default=str))
    bad = [verdict for verdict in verdicts if faulty(verdict)]
    out = [verdict for verdict in verdicts if "left_out" in verdict]
    took = time.monotonic() - began
    right = len(verdicts) - len(bad) - len(out)
    print(f"{right} without a fault, {len(bad)} with one, {len(out)} left out, {took:.0f} s")
    return 1 if bad else 0


def _play(scenario: Scenario, seed: int, **options: Any) -> dict[str, Any]:
    try:
        return asyncio.run(matrix.run(scenario, seed, **options))
    except LeftOutError as error:
        return matrix.left_out(scenario, seed, str(error))


def _mutations(chosen: list[Scenario], seed: int, file: Path | None) -> int:
    """Play each scenario with the fault that it must catch; 0 when each was caught."""
    faults = {mutation.scenario: mutation for mutation in MUTATIONS}
    missed, told = [], []
    for scenario in chosen:
        mutation = faults[scenario.name]
        with tempfile.TemporaryDirectory() as folder:
            product = mutated(mutation, Path(folder))
            verdict = _play(
                scenario, seed, product=product, settles=20.0 if scenario.settles <= 60 else None
            )
        counts = {count: verdict[count] for count in judge.COUNTS if verdict.get(count)}
        word = "left out" if "left_out" in verdict else "caught" if counts else "MISSED"
        print(f"{scenario.name:34}{mutation.what:72}{word} {counts or ''}", flush=True)
        told.append({"what": mutation.what, "result": word} | verdict)
        if word == "MISSED":
            missed.append(scenario.name)
    if file is not None:
        file.write_text(json.dumps(told, indent=1, default=str))
    return 1 if missed else 0


def faulty(verdict: dict[str, Any]) -> bool:
    """Whether any count is not zero."""
    return any(verdict.get(count) for count in judge.COUNTS)


def show(verdict: dict[str, Any]) -> None:
    """Print a line, and below it what is not as it must be."""
    if "left_out" in verdict:
        print(_line(verdict["scenario"], str(verdict["seed"])), " LEFT OUT:", verdict["left_out"])
        return
    cells = [str(verdict[key]) for key in ("scenario", "seed", *judge.COUNTS, *matrix.FIGURES)]
    print(_line(*cells), flush=True)
    for count, told in verdict["told"].items():
        for line in told:
            print(f"    {count}: {line}", flush=True)


def _line(name: str, *cells: str) -> str:
    return f"{name:34}" + "".join(f"{cell:>11}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
