"""``python -m tests.simulation [--seeds FROM:TO] [--seconds N] [--keep N,N,…] [--sweep]``."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator

from tests.simulation.play import KINDS, Verdict, play, simulated, sweep
from tests.simulation.shrink import shrink

#: Garbage lies about until so many histories have been played: collecting takes longer than one.
_COLLECT_EVERY = 100
_FAULTS_AT_MOST = 5


def main() -> int:
    """Play histories, tell of those that fail with the fewest steps; 0 when none does."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="from the first to before the second")
    parser.add_argument("--seconds", type=float, help="end after so long, whatever the seeds")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--keep", help="the places of those steps that are played: all others not")
    parser.add_argument(
        "--sweep", action="store_true", help="every kind of fault at every statement of a history"
    )
    given = parser.parse_args()
    first, _, last = given.seeds.partition(":")
    seeds = range(int(first), int(last) if last else int(first) + 1)
    with simulated():
        if given.keep is not None:
            keep = [int(place) for place in given.keep.split(",") if place]
            verdict = play(given.kinds[0], seeds[0], keep)
            _show(verdict)
            return 1 if verdict.fault else 0
        if given.sweep:
            return _sweep_all(seeds, given.kinds, given.seconds)
        return _play_all(seeds, given.kinds, given.seconds)


def _play_all(seeds: range, kinds: list[str], seconds: float | None) -> int:
    began = time.monotonic()
    bad: list[Verdict] = []
    played = steps = 0
    for verdict in _verdicts(seeds, kinds, None if seconds is None else began + seconds):
        played += 1
        steps += len(verdict.steps)
        if verdict.fault is not None:
            bad.append(verdict)
            _show_smallest(verdict)
            if len(bad) == _FAULTS_AT_MOST:
                break
    took = time.monotonic() - began
    print(
        f"{played} histories of {steps} steps in {took:.1f} s, {played / took * 60:.0f} a minute: "
        f"{len(bad)} with a fault"
    )
    return 1 if bad else 0


def _sweep_all(seeds: range, kinds: list[str], seconds: float | None) -> int:
    began = time.monotonic()
    played = bad = 0
    for verdict in (found for seed in seeds for kind in kinds for found in sweep(kind, seed)):
        played += 1
        if verdict.fault is not None:
            bad += 1
            _show(verdict)
        if played % _COLLECT_EVERY == 0:
            gc.collect()
        if seconds is not None and time.monotonic() > began + seconds:
            break
    print(f"{played} histories in {time.monotonic() - began:.1f} s: {bad} with a fault")
    return 1 if bad else 0


def _verdicts(seeds: range, kinds: list[str], until: float | None) -> Iterator[Verdict]:
    for number, seed in enumerate(seeds):
        for kind in kinds:
            if until is not None and time.monotonic() > until:
                return
            yield play(kind, seed)
        if number % _COLLECT_EVERY == 0:
            gc.collect()


def _show_smallest(verdict: Verdict) -> None:
    kind, seed = verdict.kind, verdict.seed
    keep = shrink(len(verdict.steps), lambda some: play(kind, seed, some).fault is not None)
    _show(play(kind, seed, keep))
    places = ",".join(map(str, keep))
    print(
        f"again: python -m tests.simulation --kinds {kind} --seeds {seed} --keep {places},\n",
        flush=True,
    )


def _show(verdict: Verdict) -> None:
    print(f"{verdict.kind}, seed {verdict.seed}: {verdict.fault or 'no fault'}")
    print(*verdict.steps, sep="\n")
    for struck in verdict.struck:
        print(f"    statement {struck}")


if __name__ == "__main__":
    sys.exit(main())
