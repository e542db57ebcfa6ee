"""Runs captures in processes that kill themselves before a chosen step.

A step is a request to the deployment, a statement to the database or a publication. Reads a
``STEP`` a line, forks a process for each, and answers with its exit status: 0 when it has caught up
in fewer steps, -9 when it died.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import asyncpg

from nova_stream.capture import lease
from nova_stream.capture.client import ConvexClient
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.capture.process import capture
from nova_stream.clock import system_clock
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.publish.raw import RawPublisher
from nova_stream.settings import load_settings
from nova_stream.telemetry import configure_logging
from tests.programs import die_before

_STEPS: list[tuple[Any, str]] = [
    *((asyncpg.Connection, name) for name in ("execute", "fetch", "fetchrow", "fetchval")),
    (ChangePublisher, "publish"),
    (RawPublisher, "send"),
    (ConvexClient, "list_snapshot"),
    (ConvexClient, "document_deltas"),
]


class CaughtUp(CaptureMetrics):
    """Ends the process when all is read."""

    def caught_up(self) -> None:
        os._exit(0)


def hurry() -> None:
    """Leases as short as a test wants them; the renewals are steps, too."""
    for name, seconds in {"LEASE": 0.5, "_RENEW_S": 0.1, "_LOOK_S": 0.05, "_MARGIN_S": 0.1}.items():
        setattr(lease, name, seconds)


def main() -> None:
    settings = load_settings()
    configure_logging(settings)
    hurry()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            die_before(int(line), _STEPS)
            asyncio.run(capture(settings, CaughtUp(system_clock), system_clock))
            os._exit(1)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
