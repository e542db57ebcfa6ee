"""How long the snapshot of a Convex deployment takes, from the start of the process to its end.

The deployment is the stand-in of the tests, served by this process; Kafka and Postgres are real.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

from benchmarks.common import Stack, connected, environment, make_topics, stack
from nova_stream.settings import Settings
from tests.integration.capture.stand_in import Deployment, serving

DOCUMENTS = 100_000
#: What the product's acceptance asks for, in seconds.
TARGET = 30.0

_COMMAND = (sys.executable, "-m", "nova_stream.cli.main", "capture", "convex")
_STATE = "SELECT phase, snapshot_documents FROM source_cursors"
_TASK = {
    "buildId": "b1",
    "taskId": "T-1",
    "agent": "MARS",
    "status": "done",
    "dependencies": ["T-0"],
    "phase": 1,
    "attempts": 2,
    "createdAt": "2026-02-20T11:00:00.000Z",
    "output": "output " * 20,
}
_EXECUTION = {
    "taskId": "t1",
    "agent": "MARS",
    "model": "m",
    "prompt": "prompt " * 20,
    "response": "response " * 30,
    "gatesPassed": True,
    "timestamp": "2026-02-20T11:00:00.000Z",
}


def measure(say: Callable[[str], None], *, documents: int = DOCUMENTS) -> dict[str, Any]:
    """Fill a deployment, half with tasks and half with executions, and capture it."""
    deployment = Deployment()
    say(f"filling a deployment with {documents:,} documents")
    for n in range(documents // 2):
        deployment.insert("tasks", {**_TASK, "title": f"Task {n}"})
        deployment.insert("executions", {**_EXECUTION, "duration": n * 1.25})
    with serving(deployment) as server, stack() as servers, servers.database() as database:
        settings = servers.settings(database, prefix="capture")
        asyncio.run(make_topics(settings))
        say("capturing")
        seconds, peak, published = _capture(servers, settings, server.url, deployment.key)
    return {
        "documents": documents,
        "seconds": round(seconds, 1),
        "per_second": round(documents / seconds),
        "peak_mb": round(peak / 1024 / 1024),
        "exact": published == documents,
    }


def _capture(stack: Stack, settings: Settings, url: str, key: str) -> tuple[float, int, int]:
    variables = environment(settings) | {"NOVA_CONVEX_URL": url, "NOVA_CONVEX_KEY": key}
    log = (stack.folder / "capture.log").open("wb")
    begin = time.monotonic()
    with log, subprocess.Popen(_COMMAND, cwd=stack.folder, env=variables, stderr=log) as process:
        try:
            return _watch(settings, process, begin)
        finally:
            process.terminate()


def _watch(
    settings: Settings, process: subprocess.Popen[bytes], begin: float
) -> tuple[float, int, int]:
    async def watch() -> tuple[float, int, int]:
        peak = 0
        async with connected(settings) as connection:
            while True:
                if process.poll() is not None:
                    raise RuntimeError(f"the capture ended with {process.returncode}")
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
                state = await connection.fetchrow(_STATE)
                if state is not None and state["phase"] == "deltas":
                    return time.monotonic() - begin, peak, state["snapshot_documents"]
                await asyncio.sleep(0.1)

    return asyncio.run(watch())
