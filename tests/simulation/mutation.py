"""A fault put into the product on purpose, which the histories must catch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from tests.simulation.play import Verdict, play, simulated


class Mutation(NamedTuple):
    """What is wrong, how many seeds are enough to see it, and what stands in whose place."""

    what: str
    seeds: int
    owner: Any
    name: str
    made_of: Callable[[Any], Any]
    kind: str = "stream"

    @contextmanager
    def put_in(self) -> Iterator[None]:
        wrong = self.made_of(getattr(self.owner, self.name))
        with simulated(), patch.object(self.owner, self.name, wrong):
            yield

    def first_caught(self) -> Verdict | None:
        """The first history that shows it and is right without it; None when none does."""
        for seed in range(self.seeds):
            with self.put_in():
                verdict = play(self.kind, seed)
            if verdict.fault is not None and self._is_right_without(seed):
                return verdict
        return None

    def _is_right_without(self, seed: int) -> bool:
        with simulated():
            return play(self.kind, seed).fault is None
