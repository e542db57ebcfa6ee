"""``nova-stream tokens``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nova_stream.cli.groups import Group
from nova_stream.cli.start import on_database, prepare_quiet
from nova_stream.cli.tables import Json, print_json, print_list, time_text
from nova_stream.errors import NovaStreamError, UsageError
from nova_stream.scopes import NAMES

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.access.tokens import StoredToken
    from nova_stream.storage.database import Connection

T = TypeVar("T")

app = typer.Typer(cls=Group, help="Tokens of the HTTP API.", rich_markup_mode="markdown")

#: Days that a token lasts, hours that the one before it goes on, unless something else is asked.
_DAYS = 90
_OVERLAP = 24
_MOST_DAYS = 36_500
_NEVER = "never"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_Name = Annotated[str, typer.Argument(help="The token's name: letters, digits, dots, - and _.")]
_Expires = Annotated[
    str,
    typer.Option(
        metavar="DAYS", help=f"Expire after this many days (1 to {_MOST_DAYS}), or `{_NEVER}`."
    ),
]


@app.command("create")
def create(
    name: _Name,
    *,
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE",
            help="What it may do: metrics, stats, documents, publish or admin, of which none "
            "contains another, or read, which is stats and documents; give the option again for "
            "more.",
        ),
    ],
    expires: _Expires = str(_DAYS),
    as_json: Json = False,
) -> None:
    """Make a token and print its secret, once: only a digest is kept. The API knows it within
    seconds.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid name; allowed are 1 to 100 letters, digits, dots, - and _"
        )
    if unknown := [one for one in scope if one not in NAMES]:
        raise UsageError(f"--scope {unknown[0]} is not a scope; allowed are {', '.join(NAMES)}")
    days = _days(expires)
    settings = prepare_quiet()
    from nova_stream.clock import system_clock
    from nova_stream.storage.access import tokens as token_store

    secret = token_store.new_secret()
    scopes = sorted(set(scope))
    now = system_clock()
    end = _end(now, days)

    async def work(connection: Connection) -> StoredToken | None:
        return await token_store.create(connection, name, secret, scopes, now, end)

    made = _act(settings, "create", name, now, work)
    if made is None:
        raise NovaStreamError(
            f"there is a token {name} already; nova-stream tokens rotate gives it another secret, "
            "revoke ends it"
        )
    _show_made(made, secret, now, as_json=as_json)


@app.command("rotate")
def rotate(
    name: _Name,
    *,
    expires: _Expires = str(_DAYS),
    overlap: Annotated[
        int,
        typer.Option(
            min=0, max=24 * 366, metavar="HOURS", help="How long the former secret still works."
        ),
    ] = _OVERLAP,
    as_json: Json = False,
) -> None:
    """Give a token another secret and print it, once. The one before works on for a while, so that
    whoever uses it can change over without a break.
    """
    days = _days(expires)
    settings = prepare_quiet()
    from nova_stream.clock import system_clock
    from nova_stream.storage.access import tokens as token_store

    secret = token_store.new_secret()
    now = system_clock()
    end, until = _end(now, days), now + timedelta(hours=overlap)

    async def work(connection: Connection) -> StoredToken | None:
        return await token_store.rotate(
            connection, name, secret, now, expires_at=end, overlap_until=until
        )

    made = _act(settings, "rotate", name, now, work)
    if made is None:
        raise NovaStreamError(
            f"there is no token {name} that works; nova-stream tokens create makes one"
        )
    if not as_json:
        typer.echo(f"the former secret works until {time_text(until)} at the latest")
    _show_made(made, secret, now, as_json=as_json)


@app.command("list")
def show_list(*, as_json: Json = False) -> None:
    """List the stored tokens, without their secrets. Times are UTC."""
    settings = prepare_quiet()
    from nova_stream.clock import system_clock
    from nova_stream.storage.access import tokens as token_store

    now = system_clock()
    stored = on_database(settings, "tokens", token_store.list_all)
    found = [_fields(token, now) for token in stored]
    columns = ("name", "scopes", "state", "created at", "ends at", "last used at")
    print_list(found, columns, _row, as_json=as_json, none="no tokens are stored", more=False)


@app.command("revoke")
def revoke(name: _Name, *, as_json: Json = False) -> None:
    """End a token, with what is left of the secrets before it: the API refuses it within seconds,
    and ends its streams.
    """
    settings = prepare_quiet()
    from nova_stream.clock import system_clock
    from nova_stream.storage.access import tokens as token_store

    now = system_clock()

    async def work(connection: Connection) -> bool:
        return await token_store.revoke(connection, name, now)

    if not _act(settings, "revoke", name, now, work):
        raise NovaStreamError(f"there is no token {name} that could be revoked")
    if as_json:
        print_json({"revoked": name})
    else:
        typer.echo(f"revoked {name}")


def _act(
    settings: Settings,
    action: str,
    name: str,
    now: datetime,
    work: Callable[[Connection], Awaitable[T]],
) -> T:
    """What ``work`` gives, in one transaction with its line in the audit trail."""
    from nova_stream.cli.trail import command_line
    from nova_stream.storage.access import trail as trail_store
    from nova_stream.storage.database import read_committed

    async def run(connection: Connection) -> T:
        async with read_committed(connection):
            found = await work(connection)
            outcome = "done" if found else "failed"
            line = command_line(f"tokens {action}", name, outcome, now)
            await trail_store.add(connection, [line])
            return found

    return on_database(settings, "tokens", run)


def _days(expires: str) -> int | None:
    if expires == _NEVER:
        return None
    if not (expires.isascii() and expires.isdigit() and 1 <= int(expires[:9]) <= _MOST_DAYS):
        raise UsageError(f"--expires {expires}: allowed are 1 to {_MOST_DAYS} days, or {_NEVER}")
    return int(expires)


def _end(now: datetime, days: int | None) -> datetime | None:
    return None if days is None else now + timedelta(days=days)


def _show_made(made: StoredToken, secret: str, now: datetime, *, as_json: bool) -> None:
    if as_json:
        print_json({**_fields(made, now), "secret": secret})
        return
    until = time_text(made.expires_at) or _NEVER
    typer.echo(
        f"{made.name}: scopes {', '.join(made.scopes)}, ends {until}; "
        "the secret is not shown again:"
    )
    typer.echo(secret)


def _fields(token: StoredToken, now: datetime) -> dict[str, Any]:
    return {
        "name": token.name,
        "scopes": token.scopes,
        "state": _state(token, now),
        "createdAt": time_text(token.created_at),
        "expiresAt": time_text(token.expires_at),
        "replacedAt": time_text(token.replaced_at),
        "revokedAt": time_text(token.revoked_at),
        "lastUsedAt": time_text(token.last_used_at),
    }


def _state(token: StoredToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return "valid" if token.replaced_at is None else "replaced"


def _row(fields: dict[str, Any]) -> tuple[object, ...]:
    return (
        fields["name"],
        ", ".join(fields["scopes"]),
        fields["state"],
        fields["createdAt"],
        fields["revokedAt"] or fields["expiresAt"] or _NEVER,
        fields["lastUsedAt"] or "never",
    )
