"""The streaming export of a Convex deployment, over HTTP: one request, one answer or error.

See https://docs.convex.dev/streaming-export-api; the errors' codes are those of the server's
public code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from nova_stream.clock import Clock
from nova_stream.errors import (
    CursorExpiredError,
    NovaStreamError,
    SettingsError,
    SourceAwayError,
    SourceRefusedError,
)
from nova_stream.events.documents import MAX_INDEXED_BYTES
from nova_stream.settings import Settings

#: The server takes up to a minute for a page; then come the bytes.
_TIMEOUT = aiohttp.ClientTimeout(total=150, sock_connect=10, sock_read=90)
_FORMAT = {"format": "convex_encoded_json"}
#: What passes by itself, besides all that is 500 and above: time-outs, too early, too many.
_PASSING = {408, 421, 425, 429}
_EXPIRED = {
    "InvalidWindowToReadDocuments",
    "SnapshotTooOld",
    "InvalidListSnapshotCursor",
    "DataSyncCursorExpired",
}
#: Codes change with the server's versions; the words do not. A cursor of ours is never invalid.
_EXPIRED_WORDS = re.compile(
    r"(cursor|snapshot|window|timestamp).*(too ?old|expired|invalid|retent)"
)
_LONGEST = 200

Answer = TypeVar("Answer")


class Row(NamedTuple):
    """A document as of its last transaction, at ``ts`` of the source's nanoseconds.

    Of a deletion the fields are empty. ``component`` is the path of the component whose table it
    is; the main app's own tables have none.
    """

    component: str
    table: str
    id: str
    ts: int
    deleted: bool
    fields: dict[str, Any]


class SnapshotPage(msgspec.Struct, frozen=True):
    """Documents as of the snapshot, a table's in the order of their ids."""

    rows: list[Row]
    snapshot: int
    cursor: str | None
    has_more: bool


class DeltaPage(msgspec.Struct, frozen=True):
    """Changes in the order of their transactions, none of which is split between pages."""

    rows: list[Row]
    cursor: int
    has_more: bool


class _SnapshotAnswer(msgspec.Struct, rename="camel"):
    values: list[dict[str, Any]]
    snapshot: int
    has_more: bool
    cursor: str | None = None


class _DeltaAnswer(msgspec.Struct, rename="camel"):
    values: list[dict[str, Any]]
    cursor: int
    has_more: bool


class ConvexClient:
    """Reads a deployment; an async context manager.

    Every call raises SourceRefusedError where a person has to act, SourceAwayError where waiting
    helps, and CursorExpiredError where only a new snapshot does. No message holds the key.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.address, key = address_and_key(settings)
        self.place = urlsplit(self.address).netloc
        self._clock = clock
        self._headers = {"Authorization": f"Convex {key}", "Accept": "application/json"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def tables(self, timeout: float | None = None) -> list[str] | None:
        """The names of the deployment's tables; None where it cannot describe them all, which
        hinders nothing else.
        """
        try:
            body = await self._get("json_schemas", {"deltaSchema": "true", **_FORMAT}, timeout)
        except _RequestRefusedError:
            return None
        return sorted(self._decode(body, dict[str, Any]))

    async def list_snapshot(
        self, table: str, *, snapshot: int | None = None, cursor: str | None = None
    ) -> SnapshotPage:
        """The page after ``cursor`` of a table; without ``snapshot``, one as of now is pinned."""
        wanted = {"tableName": table, "snapshot": snapshot, "cursor": cursor}
        answer = self._decode(await self._get("list_snapshot", wanted), _SnapshotAnswer)
        if answer.has_more and answer.cursor in {None, cursor}:
            raise SourceAwayError(
                f"Convex at {self.place} says that there is more, but gives no cursor"
            )
        if snapshot is not None and answer.snapshot != snapshot:
            raise SourceAwayError(
                f"Convex at {self.place} answered with the snapshot {answer.snapshot} instead of "
                f"{snapshot}"
            )
        return SnapshotPage(
            self._rows(answer.values), answer.snapshot, answer.cursor, answer.has_more
        )

    async def document_deltas(self, cursor: int) -> DeltaPage:
        """The changes after ``cursor``, of all tables."""
        answer = self._decode(await self._get("document_deltas", {"cursor": cursor}), _DeltaAnswer)
        return DeltaPage(self._rows(answer.values), answer.cursor, answer.has_more)

    async def _get(
        self, endpoint: str, wanted: Mapping[str, Any], timeout: float | None = None
    ) -> bytes:
        assert self._session is not None
        query = {name: str(value) for name, value in wanted.items() if value is not None}
        limit = aiohttp.ClientTimeout(total=timeout) if timeout else _TIMEOUT
        try:
            async with self._session.get(
                f"{self.address}/api/{endpoint}",
                params={**_FORMAT, **query},
                allow_redirects=False,
                timeout=limit,
            ) as response:
                body = await response.read()
                status, headers = response.status, response.headers
        except TimeoutError:
            raise SourceAwayError(f"Convex at {self.place} has not answered in time") from None
        except (aiohttp.ClientError, OSError) as error:
            said = str(error) or type(error).__name__
            raise SourceAwayError(f"Convex at {self.place} cannot be reached: {said}") from None
        if status != 200:
            raise self._error(status, body, headers.get("Retry-After"))
        return body

    def _error(self, status: int, body: bytes, retry_after: str | None) -> NovaStreamError:
        code, message = _told(body)
        said = " ".join(part for part in (str(status), code) if part)
        if status >= 500 or status in _PASSING:
            return SourceAwayError(
                f"Convex at {self.place} answers {said}", self._seconds(retry_after)
            )
        if code == "StreamingExportNotEnabled":
            return SourceRefusedError(
                f"Convex at {self.place} answers {said}: its plan has no streaming export, which "
                "is a feature of the Professional plan"
            )
        if status in {401, 403}:
            return SourceRefusedError(
                f"Convex at {self.place} refuses the key in NOVA_CONVEX_KEY: {said}. It must be a "
                "deploy key of this deployment (dashboard, Settings, Deploy keys) that may view "
                "data"
            )
        if code in _EXPIRED or status == 410 or _EXPIRED_WORDS.search(f"{code} {message}".lower()):
            return CursorExpiredError(f"Convex at {self.place} answers {said}")
        if status in {404, 405} or 300 <= status < 400:
            return _RequestRefusedError(
                f"Convex at {self.place} answers {said}: no deployment API is there. "
                "NOVA_CONVEX_URL is the deployment URL, such as https://happy-otter-123.convex.cloud"
            )
        return _RequestRefusedError(f"Convex at {self.place} answers {said}: {message}")

    def _seconds(self, retry_after: str | None) -> float | None:
        if retry_after is None:
            return None
        try:
            return max(float(retry_after), 0.0)
        except ValueError:
            pass
        try:
            return max((parsedate_to_datetime(retry_after) - self._clock()).total_seconds(), 0.0)
        except (ValueError, TypeError):
            return None

    def _decode(self, body: bytes, form: type[Answer]) -> Answer:
        try:
            return msgspec.json.decode(body, type=form)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise SourceAwayError(
                f"Convex at {self.place} gave an answer that its API does not describe: {error}"
            ) from None

    def _rows(self, values: list[dict[str, Any]]) -> list[Row]:
        try:
            return [_row(value) for value in values]
        except (KeyError, TypeError) as error:
            raise SourceAwayError(
                f"Convex at {self.place} gave a document without a valid {error}"
            ) from None


class _RequestRefusedError(SourceRefusedError):
    """The deployment does not take this request."""


def address_and_key(settings: Settings) -> tuple[str, str]:
    """The deployment's address, without a slash at its end, and its key; raises SettingsError."""
    if settings.convex_url is None:
        raise SettingsError(
            "NOVA_CONVEX_URL is not set; the deployment URL is allowed, such as "
            "https://happy-otter-123.convex.cloud"
        )
    if settings.convex_key is None:
        raise SettingsError(
            "NOVA_CONVEX_KEY is not set; a deploy key of the deployment is allowed (dashboard, "
            "Settings, Deploy keys)"
        )
    return settings.convex_url, settings.convex_key.get_secret_value()


def _row(value: dict[str, Any]) -> Row:
    table, identity, ts = value["_table"], value["_id"], value["_ts"]
    deleted = value.get("_deleted", False)
    for name, found, kind in (
        ("_table", table, str),
        ("_id", identity, str),
        ("_ts", ts, int),
        ("_deleted", deleted, bool),
    ):
        if not isinstance(found, kind):
            raise TypeError(name)
    if not 0 <= ts < 2**63:
        raise TypeError("_ts")
    if not identity.isprintable() or not 0 < len(identity.encode()) <= MAX_INDEXED_BYTES:
        raise TypeError("_id")
    return Row(
        str(value.get("_component") or ""), table, identity, ts, deleted, {} if deleted else value
    )


def _told(body: bytes) -> tuple[str, str]:
    """Code and message of an error's body, shortened; empty where it has none."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "", "no reason is given"
    if not isinstance(found, dict):
        return "", "no reason is given"
    code, message = (str(found.get(name) or "")[:_LONGEST] for name in ("code", "message"))
    return code, " ".join(message.split()) or "no reason is given"
