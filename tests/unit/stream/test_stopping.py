"""SIGTERM ends a worker also while its loop is at work on something that takes long, and while its
process is about to be replaced. And it is replaced, or ends, whatever of it does not end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from unittest import mock

import pytest

from nova_stream.settings import load_settings
from nova_stream.stream import worker
from nova_stream.stream.metrics import Metrics
from tests.logs import captured

_PROGRAM = """
import asyncio, os, time
from nova_stream.settings import load_settings
from nova_stream.stream import process
from nova_stream.stream.metrics import Metrics

class Part:
    def __init__(self, *_): pass
    def request_stop(self): pass

def sleep(seconds, really=time.sleep):
    print("at work", flush=True)
    really(seconds)

class Busy(Part):
    async def run(self):
        print("at work", flush=True)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            sum(range(1000))
        print("in vain", flush=True)

class Broken(Part):
    async def run(self):
        return process.Outcome.REBUILD

class Stubborn(Broken):
    async def run(self):
        print("at work", flush=True)
        self.task = asyncio.create_task(self.stay())
        await asyncio.sleep(0)
        return await super().run()

    async def stay(self):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

class Failing(Stubborn):
    async def run(self):
        await super().run()
        raise KeyError("unforeseen")

def replaced(*_):
    print("built anew", flush=True)
    os._exit(0)

def gone(*_):
    raise FileNotFoundError("python")

time.sleep = sleep
process.os.execv = %s
process.Worker = %s
process._GRACE_S = %s
process.run_worker(load_settings(), (), Metrics())
"""


def stopped(
    worker: str, number: int | None, *, grace: float, execv: str = "replaced"
) -> tuple[int, str, str]:
    """The status of a process that gets a signal, or none, while it is at work; and what it said
    then on both of its channels.
    """
    with subprocess.Popen(
        (sys.executable, "-c", _PROGRAM % (execv, worker, grace)),
        env=os.environ | {"NOVA_METRICS_PORT": "0", "NOVA_LOG_FORMAT": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            if number is not None:
                process.send_signal(number)
            said, told = process.communicate(timeout=30)
        finally:
            process.kill()
    return process.returncode, said, told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_busy_loop_does_not_keep_it(number: int) -> None:
    status, said, told = stopped("Busy", number, grace=0.2)
    assert (status, said) == (0, ""), told
    assert "stopping without waiting longer" in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_about_to_be_built_anew_is_not(number: int) -> None:
    status, said, told = stopped("Broken", number, grace=30)
    assert (status, said) == (0, ""), told
    assert "Traceback" not in told


def test_a_task_that_does_not_end_keeps_nothing_from_being_built_anew() -> None:
    status, said, told = stopped("Stubborn", None, grace=0.2)
    assert (status, said) == (0, "built anew\n"), told
    assert "stopping without waiting longer" in told


def test_a_task_that_does_not_end_keeps_no_error_from_being_told() -> None:
    status, said, told = stopped("Failing", None, grace=0.2)
    assert (status, said) == (1, ""), told
    assert "KeyError('unforeseen')" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("worker", ["Broken", "Stubborn"])
def test_one_that_cannot_be_built_anew_ends_with_an_error(worker: str) -> None:
    status, said, told = stopped(worker, None, grace=0.2, execv="gone")
    assert (status, said) == (1, ""), told
    assert "FileNotFoundError('python')" in told
    assert "Traceback" not in told


async def hang(cancellations: int) -> None:
    for _ in range(cancellations + 1):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def test_what_hangs_is_left_behind_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_STOP_LIMIT_S", 0.05)
    log = captured(monkeypatch, worker)
    app = mock.Mock(stop=lambda: hang(0), conf=mock.Mock(datadir="/nowhere"))
    tasks = [
        asyncio.create_task(hang(times), name=name)
        for name, times in (("metrics", 0), ("flusher", 1))
    ]
    await asyncio.sleep(0)
    made = worker.Worker(load_settings(), Metrics())
    await asyncio.wait_for(made._shut_down(app, tasks), 10)
    (line,) = log
    assert line["event"] == "stopping without waiting longer"
    assert line["parts"] == ["Faust", "flusher"]
    tasks[1].cancel()
