"""The words of the ledger: kinds, and the run that a worker holds."""

from __future__ import annotations

import os
import secrets
import socket
from collections import Counter
from datetime import datetime
from enum import StrEnum

import msgspec

from nova_stream.storage.jobs.ledger import HeldRun
from nova_stream.storage.jobs.rows import Outcome


class Kind(StrEnum):
    """Why a run is made."""

    SLOT = "slot"
    MANUAL = "manual"
    DRY_RUN = "dry_run"


class Claim(msgspec.Struct, frozen=True):
    """A run that this worker holds. ``as_of`` is the time that the job is to believe in."""

    job: str
    held: HeldRun
    kind: Kind
    slot: datetime | None
    as_of: datetime
    late: bool = False

    @property
    def session(self) -> str:
        """The name of its database sessions: the run and the token."""
        return f"job {self.held.id}/{self.held.fence}"

    @property
    def success(self) -> Outcome:
        """The outcome when all goes well."""
        if self.kind is Kind.SLOT:
            return Outcome.LATE if self.late else Outcome.OK
        return Outcome(self.kind.value)


class DueJobs(msgspec.Struct, frozen=True):
    """The jobs with something to settle, and when the next slot of any job is due."""

    due: list[str]
    next_due: datetime


class Settlement(msgspec.Struct):
    """What settling a job brought: runs to make, and how many lines were closed without one."""

    claims: list[Claim] = msgspec.field(default_factory=list)
    closed: Counter[Outcome] = msgspec.field(default_factory=Counter)


def worker_name() -> str:
    """Host, process and a few letters of its own: unlike any other worker's, also after a fork."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
