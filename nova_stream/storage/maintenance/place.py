"""Where the batches of the jobs end."""

from __future__ import annotations

from typing import NamedTuple


class BatchPlace(NamedTuple):
    """Where a batch of rows ended: time as Postgres writes it, and id."""

    time: str = "-infinity"
    id: str = ""
