"""Statistics of agents and builds that are right at every instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nova_stream.publish.publisher import ChangePublisher

__all__ = ["ChangePublisher"]


def __getattr__(name: str) -> Any:
    """Imports what is public when it is first asked for: most programs need little of it."""
    if name != "ChangePublisher":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nova_stream.publish.publisher import ChangePublisher  # noqa: PLC0415

    return ChangePublisher
