"""What happens in a history, one thing after another."""

from __future__ import annotations

from typing import Any, NamedTuple


class Step(NamedTuple):
    """One thing that happens, at a time or, where it strikes a call, at the number of that."""

    kind: str
    at: float
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.at:8.3f}  {self.kind} {' '.join(map(str, self.arguments))}"
