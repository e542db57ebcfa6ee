"""What a job is: a name, a schedule, a policy, and one function that does the work once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from nova_stream.clock import EPOCH
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection

if TYPE_CHECKING:
    from nova_stream.publish.publisher import ChangePublisher


#: What a job can be made to believe: its cutoffs lie up to 100 years before.
EARLIEST, LATEST = EPOCH, datetime(9999, 1, 1, tzinfo=UTC)


def check_believed(time: datetime) -> None:
    """Raise ValueError unless a job can be made to believe that it is ``time``."""
    if not EARLIEST <= time < LATEST:
        raise ValueError("a time from 1970 to 9998 is allowed")


class MissedSlots(StrEnum):
    """What becomes of slots that nobody ran in time."""

    LATEST = "latest"  # run the latest one late, the others are missed
    SKIP = "skip"  # all are missed


class Policy(msgspec.Struct, frozen=True):
    """How a job is run: times in seconds."""

    timeout: float
    missed: MissedSlots = MissedSlots.LATEST
    attempts: int = 3
    first_pause: float = 1.0


class JobContext(msgspec.Struct, frozen=True):
    """What a run has at hand.

    ``now`` is the time that the job believes in: cutoffs and times that it writes follow it,
    versions do not. In a dry run all the same is done and rolled back or not sent. ``run_id``
    names the run in the ledger (None for a dry run). ``fence`` raises when the run's lease was
    lost to another worker; a job calls it before each batch that it commits.
    """

    settings: Settings
    now: datetime
    dry_run: bool
    run_id: int | None
    connect: Callable[[], Awaitable[Connection]]
    publisher: Callable[[], Awaitable[ChangePublisher]]
    fence: Callable[[], Awaitable[None]]


class RunOnce(Protocol):
    """The work of a job; the result's fields come out as camelCase JSON, contract's first."""

    async def __call__(self, context: JobContext) -> msgspec.Struct: ...


class Job(msgspec.Struct, frozen=True):
    """A job of the platform.

    ``undo`` puts back what the run of that number did; gives how many rows. ``without_ledger``: by
    hand it runs also while Postgres is away, and then no ledger has it.
    """

    name: str
    schedule: str
    description: str
    policy: Policy
    run_once: RunOnce
    without_ledger: bool = False
    undo: Callable[[Settings, int], Awaitable[int]] | None = None
