"""``nova-stream dead-letters``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nova_stream.cli.groups import Group
from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import Json, print_count, print_json, print_table, printable
from nova_stream.cli.trail import told
from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.dead_letters.read import DeadLetter, WholeDeadLetter
    from nova_stream.storage.dead_letters.store import DeadLetterStore

app = typer.Typer(
    cls=Group,
    help="Records that could not be applied: inspect, publish again, discard.",
    rich_markup_mode="markdown",
)


#: The states of ``storage.dead_letters.read``, which --help must not wait for.
_State = Literal["open", "retried", "discarded"]
_LARGEST = 2**63 - 1
#: What the value of a letter begins with that has a whole batch of records.
_BATCH = b"nova-stream: a record batch"
#: Letters that a line of the audit trail names; more are counted.
_NAMED = 20
_Id = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=_LARGEST, help="Its number, as listed.")
]
_Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="ID", min=1, max=_LARGEST, help="Their numbers, as listed."),
]
_All = Annotated[bool, typer.Option("--all", metavar="", help="All open ones.")]
_Reason = Annotated[
    str | None, typer.Option(metavar="WORD", help="With --all: only those with this reason.")
]


@app.command("list")
def show_list(
    *,
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Only dead letters of this topic.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="WORD", help="Only dead letters with this reason.")
    ] = None,
    state: Annotated[_State | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most this many.")] = 50,
    as_json: Json = False,
) -> None:
    """List dead letters, the newest first."""
    count, letters = asyncio.run(_find(topic, reason, state, limit))
    if as_json:
        print_json({"count": count, "items": letters})
        return
    if not letters:
        typer.echo("no dead letters")
        return
    columns = ("id", "state", "failed at", "place", "bytes", "reason", "message")
    print_table(columns, [_row(letter) for letter in letters])
    if count > len(letters):
        typer.echo(f"{len(letters)} of {count}; --limit {count} shows all")


@app.command("show")
def show(
    number: _Id,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", metavar="", help="Write the value's bytes, and nothing else.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a dead letter with its bytes: as text if they are UTF-8, else in hexadecimal."""
    letter = asyncio.run(_read(number))
    if raw:
        sys.stdout.buffer.write(_bytes(letter.value_base64) or b"")
        sys.stdout.buffer.flush()
    elif as_json:
        print_json(letter)
    else:
        typer.echo("\n".join(_lines(letter)))


@app.command("retry")
def retry(
    numbers: _Ids = None, *, every: _All = False, reason: _Reason = None, as_json: Json = False
) -> None:
    """Publish the original records again.

    They keep their versions, so that they can never overwrite something newer. What fails again
    becomes a new dead letter.
    """
    count = asyncio.run(_on_chosen("retry", _republish, numbers, every=every, reason=reason))
    print_count("retried", count, as_json=as_json)


@app.command("unpack")
def unpack(number: _Id, *, as_json: Json = False) -> None:
    """Publish the records of a batch that was kept as one letter.

    They keep their versions, as with `retry`. The whole batch is decompressed in memory.
    """
    print_count("unpacked", asyncio.run(_unpack(number)), as_json=as_json)


@app.command("discard")
def discard(
    numbers: _Ids = None, *, every: _All = False, reason: _Reason = None, as_json: Json = False
) -> None:
    """Set dead letters aside; their bytes are kept."""
    count = asyncio.run(_on_chosen("discard", _set_aside, numbers, every=every, reason=reason))
    print_count("discarded", count, as_json=as_json)


async def _find(
    topic: str | None, reason: str | None, state: _State | None, limit: int
) -> tuple[int, list[DeadLetter]]:
    from nova_stream.storage.dead_letters.read import count_dead_letters, dead_letters
    from nova_stream.storage.dead_letters.store import open_store

    async with open_store(prepare_quiet()) as store:
        count = await count_dead_letters(store.connection, topic=topic, reason=reason, state=state)
        found = await dead_letters(store.connection, limit, topic=topic, reason=reason, state=state)
        return count, found.rows


async def _read(number: int) -> WholeDeadLetter:
    from nova_stream.storage.dead_letters.read import dead_letter, whole
    from nova_stream.storage.dead_letters.store import open_store

    settings = prepare_quiet()
    async with told(settings, "dead-letters show", str(number)), open_store(settings) as store:
        await store.require([number])
        found = await dead_letter(store.connection, number)
        assert found is not None  # letters that are open are never deleted, others after days
        return whole(found)


async def _on_chosen(
    action: str,
    act: Callable[[Settings, DeadLetterStore, list[int]], Awaitable[object]],
    numbers: list[int] | None,
    *,
    every: bool,
    reason: str | None,
) -> int:
    """How many letters were chosen, after ``act`` on them."""
    from nova_stream.storage.dead_letters.store import open_store

    settings = prepare_quiet()
    _check_choice(numbers, every=every, reason=reason)
    async with open_store(settings) as store:
        chosen = numbers or await store.open_ids(reason)
        async with told(settings, f"dead-letters {action}", _named(chosen)):
            await act(settings, store, chosen)
    return len(set(chosen))


async def _republish(settings: Settings, store: DeadLetterStore, chosen: list[int]) -> None:
    from nova_stream.republish import republish

    await republish(settings, store, chosen)


async def _set_aside(_settings: Settings, store: DeadLetterStore, chosen: list[int]) -> None:
    await store.discard(chosen)


async def _unpack(number: int) -> int:
    from nova_stream.republish import unpack
    from nova_stream.storage.dead_letters.store import open_store

    settings = prepare_quiet()
    async with (
        told(settings, "dead-letters unpack", str(number)),
        open_store(settings) as store,
    ):
        return await unpack(settings, store, number)


def _check_choice(numbers: list[int] | None, *, every: bool, reason: str | None) -> None:
    if bool(numbers) == every:
        raise UsageError("give either the numbers of dead letters or --all")
    if reason is not None and not every:
        raise UsageError("--reason goes with --all; numbers say already which are meant")


def _named(numbers: list[int]) -> str:
    """Dead letters as the audit trail names them."""
    shown = ", ".join(str(number) for number in numbers[:_NAMED])
    return shown if len(numbers) <= _NAMED else f"{shown} and {len(numbers) - _NAMED} more"


def _row(letter: DeadLetter) -> tuple[object, ...]:
    size = "null" if letter.size is None else letter.size
    place = f"{letter.topic}/{letter.partition}@{letter.offset}"
    return (
        letter.id,
        letter.state,
        letter.recorded_at,
        place,
        size,
        letter.reason,
        letter.detail,
    )


def _lines(letter: WholeDeadLetter) -> list[str]:
    value = _bytes(letter.value_base64)
    lines = [
        f"id          {letter.id} ({letter.state}, {letter.attempts} attempts)",
        f"reason      {letter.reason}",
        f"message     {printable(letter.detail)}",
        f"topic       {letter.topic}",
        f"partition   {letter.partition}",
        f"offset      {letter.offset} (generation {letter.generation})",
        f"written at  {letter.timestamp or 'unknown'}",
        f"failed at   {letter.recorded_at}",
        f"key         {_text(_bytes(letter.key_base64))}",
        *(
            f"header      {printable(header.name)}: {_text(_bytes(header.value_base64))}"
            for header in letter.headers
        ),
        f"value       {'null' if value is None else f'{len(value)} bytes'}",
    ]
    if value and value.startswith(_BATCH):
        lines.append(
            "a batch     publish its records again with: nova-stream dead-letters unpack "
            f"{letter.id}"
        )
    return [*lines, _text(value)] if value else lines


def _bytes(text: str | None) -> bytes | None:
    import base64

    return None if text is None else base64.b64decode(text)


def _text(data: bytes | None) -> str:
    """Text if it is UTF-8, else hexadecimal; nothing that steers a terminal."""
    if data is None:
        return "null"
    try:
        return printable(data.decode())
    except UnicodeDecodeError:
        return f"hex {data.hex()}"
