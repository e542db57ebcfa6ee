"""A lock between processes that its holder cannot forget: the system drops it with the holder."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


class FileLock:
    """An exclusive lock on a file, held until ``release`` or until the process ends.

    The file holds the number of the process that has or had the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        return self._handle is not None

    def owner(self) -> str:
        """The number of the process that took the lock last, as text for a message."""
        try:
            return self._path.read_text(encoding="ascii").strip() or "unknown"
        except OSError:
            return "unknown"

    def acquire(self, timeout: float = 0.0) -> bool:
        """Take the lock, waiting up to ``timeout`` seconds; False when somebody else has it.

        Raises OSError when the folder cannot be written.
        """
        deadline = time.monotonic() + timeout
        while self._handle is None:
            self._handle = self._attempt()
            if self._handle is None:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.05)
        return True

    def _attempt(self) -> int | None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Not inheritable (Python's default), so a child process never keeps the lock alive.
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if _try_lock(handle) and self._is_still(handle):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
            return handle
        os.close(handle)
        return None

    def _is_still(self, handle: int) -> bool:
        # The holder before may have removed the file between our open and our lock.
        try:
            return os.path.samestat(os.fstat(handle), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back, with its file if ``remove``; harmless when it is not held."""
        if self._handle is not None:
            if remove:
                self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> FileLock:
        self.acquire(timeout=float("inf"))
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock on this file; nothing is changed."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(handle)
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
