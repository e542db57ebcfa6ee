"""The work of ``nova-stream dev``: everything on this machine, with nothing else installed."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from nova_stream.cli.start import short_path
from nova_stream.errors import NovaStreamError
from nova_stream.local.commands import Addresses, Commands, own_commands
from nova_stream.local.stack import Stack
from nova_stream.local.stack_env import forget_stack

if TYPE_CHECKING:
    from rich.console import Console


def dev(
    data_dir: Path = Path(".nova-stream"),
    port: int | None = None,
    *,
    demo: bool = True,
    ephemeral: bool = False,
    rate: float = 20.0,
    commands: Commands | None = None,
) -> int:
    """Run Kafka, Postgres, worker, API and demo traffic until Ctrl-C or SIGTERM.

    The summary goes to standard output; progress and troubles go to standard error. Returns the
    exit status: 0 when it was asked to stop, 1 when something could not be started or kept
    running.
    """
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if before := forget_stack(os.environ):
        console.print(f"not used, since a stack.env gave them: {', '.join(sorted(before))}")
    show = _Show(console)
    stack = Stack(
        data_dir,
        commands=commands or own_commands(demo=demo, rate=rate),
        port=port,
        ephemeral=ephemeral,
        progress=show.progress,
        say=show.trouble,
    )
    status = 0
    with _interruptible() as ignore:
        try:
            addresses = stack.start()
            show.done()
            _print_summary(addresses, data_dir, ephemeral=ephemeral, rate=rate if demo else None)
            stack.watch()
        except KeyboardInterrupt:
            show.done()
            console.print("stopping ...")
        except NovaStreamError as error:
            show.done()
            console.print(str(error), style="red")
            status = error.exit_status
        finally:
            ignore()
            show.done()
            stack.stop()
    return status


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Turn the first SIGINT or SIGTERM into KeyboardInterrupt and ignore what follows: stopping
    takes seconds, and an impatient second Ctrl-C must not leave processes behind.

    Yields a function that ignores them from now on.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)  # the terminal's window was closed, without nohup

    def ignore() -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)

    def interrupt(number: int, frame: FrameType | None) -> None:
        ignore()
        raise KeyboardInterrupt

    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield ignore
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Show:
    """Progress on standard error: one line that changes on a terminal, else a line a step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("") if console.is_terminal else None
        self._started = False
        self._last = ""

    def progress(self, text: str, fraction: float) -> None:
        if self._status is not None:
            if not self._started:
                self._status.start()
                self._started = True
            percent = f" {fraction:.0%}" if fraction else ""
            self._status.update(f"{text}{percent} ...")
        elif text != self._last:
            self._console.print(f"{text} ...")
        self._last = text

    def done(self) -> None:
        """Take the changing line away."""
        if self._status is not None and self._started:
            self._status.stop()
            self._started = False

    def trouble(self, text: str) -> None:
        """Something that the user must see while everything runs."""
        self.done()
        self._console.print(f"!! {text}", style="bold red")


def _print_summary(
    addresses: Addresses, data_dir: Path, *, ephemeral: bool, rate: float | None
) -> None:
    write: Callable[[str], object] = sys.stdout.write
    kafka = addresses.kafka + ("" if addresses.own_kafka else "  (NOVA_KAFKA_BROKERS)")
    # Ours is on this machine only and made to be copied; somebody else's password is not shown.
    database = addresses.database_url if addresses.own_postgres else "NOVA_DATABASE_URL"
    kept = "deleted when this stops" if ephemeral else f"kept in {short_path(data_dir)}"
    if not (addresses.own_kafka or addresses.own_postgres):
        kept = "where NOVA_KAFKA_BROKERS and NOVA_DATABASE_URL keep it"
    source = f"set -a; . {shlex.quote(short_path(addresses.stack_env))}; set +a"
    lines = [
        "nova-stream is ready; Ctrl-C stops it.",
        f"  Kafka      {kafka}",
        f"  Postgres   {database}",
        f"  API        {addresses.api}/docs",
        f"  Data       {kept}",
        f"  Logs       {short_path(addresses.logs)}",
    ]
    if rate is not None:
        lines.append(f"  Demo       {rate:g} events a second (--no-demo: none)")
    lines += [
        "Next, in another terminal:",
        f"  {source}    settings for psql, curl and your programs",
        f"  {_program()} status",
        f"Dashboard: {addresses.api}/#token={addresses.token}",
    ]
    write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _program() -> str:
    """How the user calls nova-stream: by name if the shell finds this one."""
    own = Path(sys.executable).with_name("nova-stream")
    found = shutil.which("nova-stream")
    if not own.exists() or (found is not None and Path(found).resolve() == own.resolve()):
        return "nova-stream"
    return shlex.quote(short_path(own))
