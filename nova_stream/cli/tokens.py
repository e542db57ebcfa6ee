"""``nova-stream tokens``."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import print_table
from nova_stream.errors import NovaStreamError, UsageError

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.read import Connection
    from nova_stream.storage.token_store import StoredToken

T = TypeVar("T")

app = typer.Typer(help="Tokens of the HTTP API.", rich_markup_mode="markdown")

_SCOPES = ("read", "publish", "admin")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(help="The token's name: letters, digits, dots, - and _.")]


@app.command("create")
def create(
    name: _Name,
    *,
    scope: Annotated[
        list[str],
        typer.Option(
            help="What it may do: read, publish or admin, of which none contains another; give the "
            "option again for more."
        ),
    ],
    expires: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, metavar="DAYS", help="End in so many days; else never."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Make a token and print its secret, once: only a digest is kept. The API knows it within
    seconds.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name; allowed are 1 to 100 letters, digits, dots, - and _"
        )
    if unknown := [one for one in scope if one not in _SCOPES]:
        raise UsageError(f"--scope {unknown[0]} is none; allowed are {', '.join(_SCOPES)}")
    settings = prepare_quiet()
    from nova_stream.clock import system_clock
    from nova_stream.storage import token_store

    secret = token_store.new_secret()
    scopes = sorted(set(scope))
    now = system_clock()
    end = None if expires is None else now + timedelta(days=expires)

    async def work(connection: Connection) -> StoredToken | None:
        return await token_store.create(connection, name, secret, scopes, now, end)

    made = _on_database(settings, work)
    if made is None:
        raise NovaStreamError(
            f"there is a token {name} already; revoke it first, or take another name"
        )
    if as_json:
        _print_json({**_fields(made, now), "secret": secret})
        return
    until = "never" if end is None else _time(end)
    typer.echo(f"{name}: scopes {', '.join(scopes)}, ends {until}; the secret is not shown again:")
    typer.echo(secret)


@app.command("list")
def show_list(*, as_json: _Json = False) -> None:
    """List the stored tokens, without their secrets. Times are UTC."""
    settings = prepare_quiet()
    from nova_stream.clock import system_clock
    from nova_stream.storage import token_store

    now = system_clock()
    found = [_fields(token, now) for token in _on_database(settings, token_store.list_all)]
    if as_json:
        _print_json({"items": found})
        return
    if not found:
        typer.echo("no tokens are stored")
        return
    columns = ("name", "scopes", "state", "created at", "ends at", "last used at")
    print_table(columns, [_row(fields) for fields in found])


@app.command("revoke")
def revoke(name: _Name) -> None:
    """End a token: the API refuses it within seconds, and ends its streams."""
    settings = prepare_quiet()
    from nova_stream.clock import system_clock
    from nova_stream.storage import token_store

    async def work(connection: Connection) -> bool:
        return await token_store.revoke(connection, name, system_clock())

    if not _on_database(settings, work):
        raise NovaStreamError(f"there is no token {name} that could be revoked")
    typer.echo(f"revoked {name}")


def _on_database(settings: Settings, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        from nova_stream.storage.database import check_schema, connect
        from nova_stream.storage.migrate import newest_revision

        connection = await connect(settings, "tokens")
        try:
            await check_schema(connection, newest_revision())
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def _fields(token: StoredToken, now: datetime) -> dict[str, Any]:
    return {
        "name": token.name,
        "scopes": token.scopes,
        "state": _state(token, now),
        "createdAt": _time(token.created_at),
        "expiresAt": _time(token.expires_at),
        "revokedAt": _time(token.revoked_at),
        "lastUsedAt": _time(token.last_used_at),
    }


def _state(token: StoredToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


def _row(fields: dict[str, Any]) -> tuple[object, ...]:
    return (
        fields["name"],
        ", ".join(fields["scopes"]),
        fields["state"],
        fields["createdAt"],
        fields["revokedAt"] or fields["expiresAt"] or "never",
        fields["lastUsedAt"] or "never",
    )


def _time(instant: datetime | None) -> str | None:
    from nova_stream.clock import isoformat

    return None if instant is None else isoformat(instant)


def _print_json(value: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())
