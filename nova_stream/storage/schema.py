"""Which schema of the database this version needs."""

from __future__ import annotations

from pathlib import Path

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def newest_revision() -> str:
    """The newest schema that this version knows: the number of the last migration."""
    return max(path.name for path in _VERSIONS.glob("[0-9]*.py")).partition("_")[0]
