"""What the servers on this machine have in common: a folder, a lock on it, one process."""

from __future__ import annotations

import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Self

from nova_stream.errors import LocalStackError
from nova_stream.local import processes
from nova_stream.local.folders import make_private
from nova_stream.local.jars import Progress
from nova_stream.local.locks import FileLock
from nova_stream.local.ports import free_port, read_port, require_free


class LocalServer(ABC):
    """One server with its data in ``data_dir/NAME`` and its log in ``data_dir/logs/NAME.log``.

    Four verbs: ``install`` sees to it that all is there, ``start`` returns when a client can talk
    to the server, ``stop`` ends the process and keeps the data, ``destroy`` removes the data. Each
    may be repeated. All of them raise LocalStackError. Start it in the main thread: then, on
    Linux, the server ends with this process even after its kill -9; elsewhere, and for what
    is left, the next start on the same folder ends it.
    """

    title: ClassVar[str]
    _stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self, data_dir: Path, *, port: int | None, progress: Progress, end_with_parent: bool
    ) -> None:
        self._name = self.title.lower()
        self._data_dir = data_dir.expanduser().resolve()
        self._folder = self._data_dir / self._name
        self._given_port = port
        self._progress = progress
        self._end_with_parent = end_with_parent
        self._lock = FileLock(self._data_dir / "run" / f"{self._name}.lock")
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    @property
    def log(self) -> Path:
        return self._data_dir / "logs" / f"{self._name}.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and processes.is_running(self._process)

    @abstractmethod
    def install(self) -> None:
        """See to it that what the server needs is there."""

    @abstractmethod
    def start(self, *, limit: float = 60.0) -> None:
        """Start the server and wait until a client can use it, ``limit`` seconds at most."""

    def stop(self, *, limit: float = 20.0) -> None:
        """End the server, cutting its connections; the data stays. SIGKILL after ``limit`` s."""
        if self._process is not None:
            processes.stop(self._process, signal_=self._stop_signal, limit=limit)
            self._process = None
        elif self._lock.held:
            self._end_leftovers()  # a start that was interrupted at its most delicate moment
        self._lock.release()

    def destroy(self) -> None:
        """End the server, also one that a killed run left, and remove its data and its logs."""
        self.stop()
        self._take_folder()
        try:
            self._end_leftovers()
            for path in (self._folder, *self._remains()):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            for log in self.log.parent.glob(f"{self.log.name}*"):
                log.unlink()
        finally:
            self._lock.release(remove=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _end_leftovers(self) -> None:
        """End what a killed run left on the folder, whose lock we hold."""

    @abstractmethod
    def _remains(self) -> Iterable[Path]:
        """Files and folders that ``destroy`` removes besides the data."""

    def _take_folder(self) -> None:
        try:
            make_private(self._data_dir)
            taken = self._lock.acquire()
        except OSError as error:
            raise LocalStackError(
                f"{self._data_dir} cannot be used for {self.title}'s data: {error.strerror}; "
                "give another folder"
            ) from error
        if not taken:
            raise LocalStackError(
                f"process {self._lock.owner()} runs the {self.title} of {self._data_dir}; stop it "
                "or give another folder"
            )

    def _choose_port(self, noted: Path) -> int:
        """The given port, else that of last time, so that addresses noted somewhere stay right."""
        if self._given_port is not None:
            require_free(self._given_port, f"the local {self.title}", "give another port")
            return self._given_port

        port = free_port(preferred=read_port(noted))
        noted.write_text(str(port), encoding="ascii")
        return port
