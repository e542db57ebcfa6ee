"""Which programs a stack runs, and where its parts are once they do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nova_stream.local.kafka import group_is_stable


@dataclass(frozen=True)
class Commands:
    """The programs of the stack. ``api`` gets ``--host`` and ``--port`` added.

    ``worker_ready`` is asked with brokers and consumer group until it is true. ``roles``: migrate
    makes the database's roles, and each program is given its own of the local Postgres.
    """

    migrate: Sequence[str]
    worker: Sequence[str]
    api: Sequence[str]
    demo: Sequence[str] | None
    live_path: str = "/health/live"
    worker_ready: Callable[[str, str], bool] = group_is_stable
    roles: bool = False


def own_commands(*, demo: bool, rate: float) -> Commands:
    """This project's own command line, run by this very Python."""
    program = [sys.executable, "-m", "nova_stream.cli.main"]
    return Commands(
        migrate=[*program, "migrate"],
        worker=[*program, "worker"],
        api=[*program, "api"],
        demo=[*program, "demo", "--rate", f"{rate:g}"] if demo else None,
        roles=True,
    )


@dataclass(frozen=True)
class Addresses:
    """Where the parts of a running stack are. ``own_...`` tells what the stack itself started."""

    kafka: str
    database_url: str = field(repr=False)
    api: str
    token: str = field(repr=False)
    own_kafka: bool
    own_postgres: bool
    stack_env: Path
    logs: Path
