"""``nova-stream logs``."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nova_stream.cli.start import short_path
from nova_stream.cli.tables import Json, print_json, printable
from nova_stream.errors import NovaStreamError

#: Seconds between two looks for new lines.
_PAUSE_S = 0.2
#: Of an entry, what is shown before its other fields.
_HEAD = ("timestamp", "level", "event")


class _Part(StrEnum):
    WORKER = "worker"
    API = "api"
    DEMO = "demo"
    KAFKA = "kafka"
    POSTGRES = "postgres"


def logs(
    parts: Annotated[
        list[_Part] | None,
        typer.Argument(metavar="PART", help=f"Only these: {', '.join(_Part)}."),
    ] = None,
    *,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, metavar="N", help="The last N of each part.")
    ] = 20,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", metavar="", help="Go on with new lines until Ctrl-C."),
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", metavar="DIR", help="Data folder; else the one in or above this folder."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the logs of `nova-stream dev`, also after it has ended.

    A worker or API that was started otherwise writes to its standard error. With `--json` each
    line is an object.
    """
    folder = _folder(data_dir)
    wanted = parts or _Part
    files = [_LogFile(part, folder / f"{part}.log") for part in wanted]
    for file in files:
        _print(file.part, file.last(lines), as_json=as_json)
    while follow:
        time.sleep(_PAUSE_S)
        for file in files:
            _print(file.part, file.new(), as_json=as_json)


class _LogFile:
    """A part's log, read on from where it was read to; a new file of its name from the begin."""

    def __init__(self, part: str, path: Path) -> None:
        self.part = part
        self._path = path
        self._file: int | None = None
        self._place = 0
        self._rest = b""

    def last(self, count: int) -> Sequence[str]:
        return deque(self.new(), maxlen=count)

    def new(self) -> list[str]:
        """The lines that have been ended since the last look."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._file or found.st_size < self._place:
                    self._file, self._place, self._rest = found.st_ino, 0, b""
                file.seek(self._place)
                read = file.read()
        except FileNotFoundError:
            return []
        self._place += len(read)
        *ended, self._rest = (self._rest + read).split(b"\n")
        return [line.decode(errors="replace") for line in ended]


def _folder(data_dir: Path | None) -> Path:
    """Where the logs are."""
    from nova_stream.local.stack_env import FOLDER, find_stack

    if data_dir is None:
        found = find_stack(Path.cwd(), os.environ)
        data_dir = Path(FOLDER) if found is None else found.path.parent
    for folder in (data_dir / "nova-stream-ephemeral" / "logs", data_dir / "logs"):
        if folder.is_dir():
            return folder
    raise NovaStreamError(
        f"no logs of nova-stream dev in {short_path(data_dir)}; --data-dir names another folder. A "
        "worker or API that was started otherwise writes to its standard error"
    )


def _print(part: str, lines: Iterable[str], *, as_json: bool) -> None:
    for line in lines:
        entry = _entry(line)
        if as_json:
            print_json({"part": part, **(entry if entry is not None else {"text": line})})
        else:
            typer.echo(f"{part:8} {printable(line) if entry is None else _text(entry)}")


def _entry(line: str) -> dict[str, Any] | None:
    """A line that nova-stream wrote as JSON."""
    import msgspec

    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None


def _text(entry: dict[str, Any]) -> str:
    time_, level, event = (printable(str(entry.get(name, "-"))) for name in _HEAD)
    others = (
        f"{name}={printable(str(value))}"
        for name, value in entry.items()
        if name not in _HEAD and value is not None
    )
    return " ".join((time_, f"{level:7}", event, *others))
