"""A clock that can be set, for processes that are started with it: Debian's libfaketime."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.field import LeftOutError

_LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)


def environment(folder: Path) -> dict[str, str]:
    """What makes a process's clock that of ``set_to``; the monotonic one goes on as it is."""
    library = next((name for name in _LIBRARIES if Path(name).exists()), None)
    if library is None:
        raise LeftOutError("libfaketime is not installed")
    set_to(folder, 0)
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_to(folder: Path, seconds: int) -> None:
    """Set the clock so many seconds ahead of the machine's, or behind it."""
    fresh = folder / "clock.new"
    fresh.write_text(f"{seconds:+d}\n")
    fresh.replace(folder / "clock")
