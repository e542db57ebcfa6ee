"""One child of the stack that is started again when it ends."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from nova_stream.local import processes
from nova_stream.local.processes import Launch

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0  # seconds of running after which an end counts as the first one again


class Service:
    """A child by name. ``check`` starts it again, later each time it ends soon after."""

    def __init__(
        self,
        name: str,
        launch: Launch,
        *,
        say: Callable[[str], None],
        until_done: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._launch = launch
        self._say = say
        self._until_done = until_done
        self._clock = clock
        self._pause = _FIRST_PAUSE_S
        self._started = 0.0
        self._due: float | None = None

    @property
    def log(self) -> Path:
        return self._launch.log

    def start(self) -> None:
        """Start the child; raises LocalStackError when its program cannot be run."""
        self.process = processes.start(self._launch)
        self._started = self._clock()
        self._due = None

    def is_running(self) -> bool:
        """Whether the child lives."""
        return self.process is not None and processes.is_running(self.process)

    def check(self) -> None:
        """Start the child again, loudly, if it ended; one that is ``until_done`` may end well."""
        if self._due is not None:
            if self._clock() >= self._due:
                self.start()
            return
        if self.process is None or self.is_running():
            return

        status = self.process.returncode
        if status == 0 and self._until_done:
            self.process = None
            return
        if self._clock() - self._started > _STEADY_S:
            self._pause = _FIRST_PAUSE_S
        self._due = self._clock() + self._pause
        self._say(
            f"{self.name} ended with status {status}; it starts again in {self._pause:.0f} s. "
            f"Its last lines are in {self._launch.log}.1 then:\n"
            f"{processes.tail(self._launch.log, 3)}"
        )
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)
