"""SIGTERM ends a worker also while its loop is at work on something that takes long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

_BUSY = """
import time
from nova_stream.settings import load_settings
from nova_stream.stream import process
from nova_stream.stream.metrics import Metrics

class Busy:
    def __init__(self, *_): self.asked = False
    def request_stop(self): self.asked = True
    async def run(self):
        print("at work", flush=True)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            sum(range(1000))
        print("in vain", flush=True)

process.Worker = Busy
process._GRACE_S = 0.2
process.run_worker(load_settings(), (), Metrics())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_busy_loop_does_not_keep_it(number: int) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", _BUSY),
        env=os.environ | {"NOVA_METRICS_PORT": "0", "NOVA_LOG_FORMAT": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "at work\n"
            worker.send_signal(number)
            said, told = worker.communicate(timeout=30)
        finally:
            worker.kill()
    assert said == ""
    assert worker.returncode == 0, told
    assert "stopping without waiting longer" in told
