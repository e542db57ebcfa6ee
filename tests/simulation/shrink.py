"""Of a history that fails, the fewest steps that are found to fail still."""

from __future__ import annotations

from collections.abc import Callable

#: Plays that one history is worth.
_PLAYS = 400


def shrink(steps: int, fails: Callable[[frozenset[int]], bool]) -> list[int]:
    """The places of the steps that are left of ``steps``; ``fails`` plays those that it is given.

    Leaves out halves, then smaller and smaller parts, for as long as it still fails without them.
    """
    kept = list(range(steps))
    plays = 0
    size = len(kept)
    while size >= 1:
        size = max(1, size // 2) if size > 1 else 1
        shorter = False
        begin = 0
        while begin < len(kept) and plays < _PLAYS:
            without = kept[:begin] + kept[begin + size :]
            plays += 1
            if fails(frozenset(without)):
                kept, shorter = without, True
            else:
                begin += size
        if plays >= _PLAYS or (size == 1 and not shorter):
            break
    return kept
