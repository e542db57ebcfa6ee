"""Child processes: in a group of their own, stopped for certain, found again after a kill -9."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from nova_stream.errors import LocalStackError

_TIED = Path(__file__).with_name("_exec_with_parent_death_signal.py")


@dataclass(frozen=True)
class Account:
    """The system account that a child runs as, where that is not the caller's."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Launch:
    """How a child is started.

    ``parent_death_signal`` is what it gets, on Linux, when this process dies without stopping it.
    """

    argv: Sequence[str]
    log: Path
    cwd: Path | None = None
    env: Mapping[str, str] | None = None
    account: Account | None = None
    parent_death_signal: int | None = signal.SIGTERM


def start(launch: Launch) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C in the terminal is ours to handle.

    Its output goes to ``launch.log``, whose former content is kept as ``<name>.1``.
    Raises LocalStackError when the program cannot be run.
    """
    argv = list(launch.argv)
    program = shutil.which(argv[0]) or argv[0]
    account = launch.account
    if launch.parent_death_signal is not None and _can_tie():
        who = f"{account.uid}:{account.gid}" if account else "-"
        tie = [str(int(launch.parent_death_signal)), str(os.getpid()), who]
        argv = [sys.executable, "-I", "-S", str(_TIED), *tie, program, *argv[1:]]
        account = None  # that step changes it

    launch.log.parent.mkdir(parents=True, exist_ok=True)
    if launch.log.exists():
        launch.log.replace(launch.log.with_name(launch.log.name + ".1"))
    try:
        with launch.log.open("wb") as output:
            return subprocess.Popen(  # noqa: S603  (words of our own, no shell)
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=launch.cwd,
                env=dict(launch.env) if launch.env is not None else None,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
    except OSError as error:
        raise LocalStackError(f"{program} cannot be started: {error.strerror}") from error


def _can_tie() -> bool:
    # The kernel sends the signal when the *thread* that started the child ends, so only the
    # main thread may tie one to itself.
    return sys.platform == "linux" and threading.current_thread() is threading.main_thread()


def run(
    argv: Sequence[str],
    *,
    what: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    limit: float = 120.0,
) -> str:
    """Run a program to its end; what it wrote to its outputs. ``what`` names it in errors.

    Raises LocalStackError, with its last lines, when it cannot be run, fails or takes longer than
    ``limit`` seconds.
    """
    program = what or Path(argv[0]).name
    try:
        answer = subprocess.run(  # noqa: S603  (words of our own, no shell)
            argv,
            cwd=cwd,
            env=env,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LocalStackError(f"{program} has not ended after {limit:.0f} s") from error
    except OSError as error:
        raise LocalStackError(f"{argv[0]} cannot be run: {error.strerror}") from error
    if answer.returncode != 0:
        said = "\n".join(answer.stdout.splitlines()[-15:])
        raise LocalStackError(f"{program} failed with status {answer.returncode}:\n{said}")
    return answer.stdout


def is_running(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child still runs; when it just ended, what is left of its group ends with it."""
    if process.returncode is not None:
        # Reaped before: its number may belong to a stranger by now, so its group is left alone.
        return False
    if process.poll() is None:
        return True
    _kill_group(process.pid)
    return False


def stop(
    process: subprocess.Popen[bytes], *, signal_: int = signal.SIGTERM, limit: float = 15.0
) -> bool:
    """End a child and whatever is left of its group: ``signal_`` first, SIGKILL after ``limit``
    seconds. Returns False when SIGKILL was needed.
    """
    if not is_running(process):
        return True

    process.send_signal(signal_)
    return _ended(process, limit)


def _ended(process: subprocess.Popen[bytes], limit: float) -> bool:
    """Whether a child that was asked to end does so in time; afterwards its group is gone."""
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        _kill_group(process.pid)
        process.wait()
        return False
    _kill_group(process.pid)
    return True


def stop_all(children: Sequence[subprocess.Popen[bytes]], *, limit: float = 15.0) -> None:
    """``stop`` for several at once: all are asked before the first is waited for.

    Each is asked once: a second signal ends a Python program that is on its way out at once, with
    the signal as its status.
    """
    asked = [process for process in children if is_running(process)]
    for process in asked:
        process.terminate()
    deadline = time.monotonic() + limit
    for process in asked:
        _ended(process, max(deadline - time.monotonic(), 0.1))


def _kill_group(leader: int) -> None:
    if sys.platform == "win32":
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(leader).children(recursive=True):
                child.kill()
            psutil.Process(leader).kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def find_processes(matches: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Processes other than this one that ``matches``; what it may not look at does not match."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and matches(process):
                found.append(process)
    return found


def find_leftovers(matches: Callable[[list[str]], bool]) -> list[psutil.Process]:
    """Processes other than this one whose command line ``matches``."""
    return find_processes(lambda process: matches(process.cmdline()))


def find_marked(variable: str, value: str) -> list[psutil.Process]:
    """Processes other than this one that were started with ``variable`` set to ``value``."""
    return find_processes(lambda process: process.environ().get(variable) == value)


def end_leftovers(
    processes: Sequence[psutil.Process], *, signal_: int = signal.SIGTERM, limit: float = 15.0
) -> None:
    """End processes that a killed run left: ``signal_`` first, SIGKILL after ``limit`` seconds.

    psutil compares start times, so a process that took over a number is never hit.
    Raises LocalStackError when one cannot be ended.
    """
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal_)
    _, alive = psutil.wait_procs(processes, timeout=limit)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(alive, timeout=5)
    if alive:
        numbers = ", ".join(str(process.pid) for process in alive)
        raise LocalStackError(f"process {numbers} of an earlier run does not end; end it by hand")


def wait_ready(
    what: str,
    process: subprocess.Popen[bytes],
    ready: Callable[[], bool],
    *,
    log: Path,
    limit: float,
) -> None:
    """Wait until ``ready()``.

    Raises LocalStackError, with the last lines of ``log``, when the process ends before or when
    ``limit`` seconds pass.
    """
    deadline = time.monotonic() + limit
    while not ready():
        if not is_running(process):
            raise LocalStackError(
                f"{what} ended with status {process.returncode} instead of starting; "
                f"the last lines of {log}:\n{tail(log)}"
            )
        if time.monotonic() > deadline:
            raise LocalStackError(
                f"{what} does not answer after {limit:.0f} s; the last lines of {log}:\n{tail(log)}"
            )
        time.sleep(0.05)


def tail(path: Path, lines: int = 15) -> str:
    """The last ``lines`` lines of a log, for an error message."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 16384))
            text = log.read().decode(errors="replace")
    except OSError:
        return "(no log)"
    # Java's stack frames push out the line that says what is wrong.
    kept = [line for line in text.splitlines() if not line.startswith("\tat ")]
    return "\n".join(kept[-lines:]) or "(empty)"
