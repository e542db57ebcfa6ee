"""``nova-stream publish``."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import Json, print_json
from nova_stream.errors import NovaStreamError, UsageError

if TYPE_CHECKING:
    from nova_stream.publish.files import LineFile
    from nova_stream.publish.position_token import PositionToken
    from nova_stream.settings import Settings

_SPOOLED_BYTES = 64 * 1024 * 1024


def publish(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON Lines; - is standard input.")],
    *,
    batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Changes to send before waiting for Kafka.")
    ] = 10_000,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", metavar="", help="Skip lines that are not valid.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Publish a file of changes to Kafka.

    A line is a change: `{"entity": "tasks", "op": "u", "after": {"id": "t-1", …}}`, with `seq`,
    `ts_ms` and `before` if wanted; `"op": "d"` takes `before` with the id.

    All lines are checked before the first is sent. Every bad one is named, and nothing is sent
    of a file that has one, unless `--skip-bad`. The last line of the answer is the position token:
    figures read with `?after=TOKEN` contain what was published.
    """
    settings = prepare_quiet()
    with _opened(file) as opened:
        published, skipped, token = _publish(opened, settings, batch, skip_bad=skip_bad)
    if as_json:
        print_json({"published": published, "skipped": skipped, "token": str(token)})
    else:
        left_out = f", left out {_count(skipped, 'line')}" if skipped else ""
        typer.echo(f"published {_count(published, 'change')}{left_out}\n{token}")
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _publish(
    opened: IO[bytes], settings: Settings, batch: int, *, skip_bad: bool
) -> tuple[int, int, PositionToken]:
    """Published changes, lines left out, and the position."""
    from nova_stream.publish.files import LineFile

    lines = LineFile(opened)
    total = opened.seek(0, 2)
    with _bar("checking", total) as advance:
        checked = lines.check(on_bad=lambda bad: typer.echo(str(bad), err=True), progress=advance)
    if checked.bad and not skip_bad:
        raise NovaStreamError(
            f"{checked.bad} of {checked.good + checked.bad} lines are bad, nothing was sent; "
            "correct them, or leave them out with --skip-bad"
        )
    with _bar("publishing", total) as advance:
        published, token = asyncio.run(_send(lines, settings, batch, advance))
    return published, checked.bad, token


async def _send(
    lines: LineFile, settings: Settings, batch: int, advance: Callable[[int], None]
) -> tuple[int, PositionToken]:
    from nova_stream.publish.files import publish_changes
    from nova_stream.publish.publisher import ChangePublisher

    async with ChangePublisher(settings, source_name="cli") as publisher:
        return await publish_changes(publisher, lines.changes(progress=advance), batch=batch)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """The file, which can be read twice: what comes through a pipe is copied first."""
    with contextlib.ExitStack() as stack:
        try:
            given = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            raise UsageError(
                f"{name} cannot be read: {error.strerror}; a file of JSON Lines is allowed, or - "
                "for standard input"
            ) from None
        if name != "-" and given.seekable():
            yield given
        else:
            copy = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOLED_BYTES))
            shutil.copyfileobj(given, copy)
            yield copy


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, when that is a terminal; told the bytes that are done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
