"""How commands tell of a run of a job, in the words that the pages have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nova_stream.storage.jobs.rows import Run


def words(value: str) -> str:
    """``went_well`` as words."""
    return value.replace("_", " ")


def how_it_ended(run: Run) -> str:
    """How a run ended; of one that no worker has begun, that."""
    return "not begun" if run.state == "pending" else words(run.ended)


def what_it_did(run: Run) -> str:
    """What went wrong, or else what the run did; empty while that is not known."""
    return run.error or run.did or ""
