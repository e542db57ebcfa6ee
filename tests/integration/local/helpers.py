"""What the tests of the local servers share."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from nova_stream.local.processes import find_leftovers


def eventually(condition: Callable[[], bool], *, limit: float = 60.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Everything whose command line names something in ``folder``."""
    marker = str(folder.resolve())
    return find_leftovers(lambda words: any(marker in word for word in words))


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run: one that only waits for its parent to notice its end does not."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextmanager
def script(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that says ``up`` when it is ready; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
