"""Runs a job in processes that kill themselves before a chosen step.

A step is a statement to the database or an operation of the archive, whatever the job does. Reads
``STEP MINUTES`` lines, forks a process for each, and answers with its exit status: 0 when the job
has fewer steps, -9 when it died.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any

import asyncpg
import obstore

from nova_stream.jobs.archive import compaction  # noqa: F401  (before the fork: it takes its time)
from nova_stream.jobs.registry import JOBS
from nova_stream.settings import load_settings
from tests.integration.jobs.work import NOON, Runs
from tests.programs import die_before

_STEPS: list[tuple[Any, str]] = [
    *((asyncpg.Connection, name) for name in ("execute", "fetch", "fetchrow", "fetchval")),
    *((obstore, name) for name in ("put_async", "get_async", "delete_async")),
]


def main() -> None:
    name, database, archive = sys.argv[1:]
    job = next(job for job in JOBS if job.name == name)
    settings = load_settings(database_url=database, archive_url=archive)
    for line in sys.stdin:
        step, minutes = (int(word) for word in line.split())
        child = os.fork()
        if not child:
            die_before(step, _STEPS)
            now = NOON + timedelta(minutes=minutes)
            asyncio.run(Runs(settings).run(job.run_once, now))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
