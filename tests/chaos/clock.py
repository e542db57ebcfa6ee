"""A clock that can be set, for Python processes that are started with it.

It is time-machine's, which takes ``time.time``, ``datetime.now`` and their like; the monotonic
clock goes on as it is. (Under libfaketime, which fakes libc's, two threads of one process hand each
other the interpreter's lock at every step, so that a worker hardly gets on.)
"""

from __future__ import annotations

from pathlib import Path

#: Python runs a module of this name at its start, before all else.
_AT_START = """\
import pathlib, threading, time
import time_machine

FILE = pathlib.Path(__file__).with_name("clock")

def ahead():
    return int(FILE.read_text())

def follow(known):
    while True:
        waiting.wait(0.05)
        if (now := ahead()) != known:
            clock.shift(now - known)
            known = now

begins = ahead()
waiting = threading.Event()
clock = time_machine.travel(time.time() + begins, tick=True).start()
threading.Thread(target=follow, args=(begins,), name="clock", daemon=True).start()
"""


def folder_in(folder: Path) -> Path:
    """A folder that gives a process its clock, once it is on the process's path of modules."""
    inside = folder / "clock"
    inside.mkdir()
    set_to(folder, 0)
    (inside / "sitecustomize.py").write_text(_AT_START)
    return inside


def set_to(folder: Path, seconds: int) -> None:
    """Set the clock so many seconds ahead of the machine's, or behind it."""
    fresh = folder / "clock" / "clock.new"
    fresh.write_text(f"{seconds:+d}\n")
    fresh.replace(folder / "clock" / "clock")
