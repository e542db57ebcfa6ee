"""Publishing a file of JSON Lines: first all of it is checked, then it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import IO, NamedTuple

from nova_stream.clock import system_clock
from nova_stream.errors import PublishError, RejectedError, UsageError
from nova_stream.events.json_text import told_form
from nova_stream.events.lines import ChangeLine, parse_line
from nova_stream.kafka.records import MAX_RECORD_BYTES, RecordMaker, check_parts
from nova_stream.publish.interface import Publisher
from nova_stream.publish.position_token import PositionToken

#: Longer lines are not read as a whole.
_LONGEST_LINE = 2 * MAX_RECORD_BYTES
#: A record is some hundred bytes longer than its line, and as deeply nested.
_SURELY_FITS = MAX_RECORD_BYTES // 2
#: Lines between two reports of progress.
_STEP = 1000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: Bytes that tell what a file is.
_BEGINNING = 8

#: Called with the number of bytes read so far.
Progress = Callable[[int], None]


class BadLine(NamedTuple):
    """A line that cannot be published; ``number`` counts from 1."""

    number: int
    reason: str
    message: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.reason}: {self.message}"


class LineCounts(NamedTuple):
    """How many lines of a file can be published, and how many cannot; empty ones do not count."""

    good: int
    bad: int


class LineFile:
    """A file of changes, one a line, that can be read from its beginning several times."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def check(
        self, *, on_bad: Callable[[BadLine], None], progress: Progress = lambda done: None
    ) -> LineCounts:
        """Look at every line, in little memory; ``on_bad`` is told of each that is not right.

        Raises UsageError for a file that is no text in UTF-8 as a whole.
        """
        self._file.seek(0)
        if (form := told_form(self._file.read(_BEGINNING))) is not None:
            raise UsageError(f"the file is {form}; JSON Lines in UTF-8, not compressed, is allowed")
        maker = RecordMaker("check", system_clock)
        good = bad = 0
        for number, line in self._lines(progress):
            try:
                change = _parse(line)
                if len(line) < _SURELY_FITS:
                    check_parts(change)
                else:
                    maker.make(change)
            except RejectedError as error:
                bad += 1
                on_bad(BadLine(number, error.reason, str(error)))
            else:
                good += 1
        return LineCounts(good, bad)

    def changes(self, *, progress: Progress = lambda done: None) -> Iterator[ChangeLine]:
        """The changes of the lines that are right; the others are left out."""
        for _, line in self._lines(progress):
            try:
                change = _parse(line)
            except RejectedError:
                continue
            yield change

    def _lines(self, progress: Progress) -> Iterator[tuple[int, bytes]]:
        """Numbers and texts of the lines that are not empty."""
        self._file.seek(0)
        done = 0
        for number, line in enumerate(_whole_lines(self._file), 1):
            done += len(line)
            if number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)  # noqa: PLW2901
            if line and not line.isspace():
                yield number, line
            if number % _STEP == 0:
                progress(done)
        progress(done)


async def publish_changes(
    publisher: Publisher, changes: Iterator[ChangeLine], *, batch: int
) -> tuple[int, PositionToken]:
    """Publish ``changes`` in their order, ``batch`` at a time; their number and position.

    Raises what the publisher raises; PublishError then also says how many are safe.
    """
    counted = _CountingIterator(changes)
    token = PositionToken()
    published = -1
    while published < counted.number:
        published = counted.number
        try:
            # Not a list: held all at once, so many objects would keep the garbage collector busy.
            token = token.merge(await publisher.publish(islice(counted, batch)))
        except PublishError as error:
            raise PublishError(
                f"{error}. The first {published} changes are published, of the rest some may be"
            ) from None
    return published, token


class _CountingIterator:
    """An iterator that knows how much has been taken from it."""

    def __init__(self, changes: Iterator[ChangeLine]) -> None:
        self._changes = changes
        self.number = 0

    def __iter__(self) -> Iterator[ChangeLine]:
        return self

    def __next__(self) -> ChangeLine:
        change = next(self._changes)
        self.number += 1
        return change


def _parse(line: bytes) -> ChangeLine:
    if len(line) >= _LONGEST_LINE:
        raise RejectedError("too_large", f"the line is longer than {_LONGEST_LINE} bytes")
    return parse_line(line)


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines; of one that is too long the first part, which is too long still."""
    for line in iter(partial(file.readline, _LONGEST_LINE), b""):
        yield line
        rest = line
        while len(rest) == _LONGEST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(_LONGEST_LINE)
