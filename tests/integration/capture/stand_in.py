"""A stand-in for a Convex deployment's streaming export, written from the server's public code.

After ``crates/local_backend/src/streaming_export.rs`` and ``crates/database/src/database.rs`` of
get-convex/convex-backend. It deviates from the server in this:

- everything is in memory, and one process is the deployment; a transaction takes no time;
- ``json_schemas`` gives each table an object schema without the fields' types;
- ``selection`` (a POST's) is not there, ``tableName`` and ``component`` are;
- time is that of ``now_ns``, given or the machine's, and rises with every transaction; the server's
  rises every few seconds without one, here at every question;
- retention is what the test sets: ``forget_before`` for changes, ``refuse_snapshots_before`` for
  pinned snapshots; the server keeps some days of each;
- an id is 32 letters and digits of no meaning, and a tablet is a number; order is by tablet, then
  by id, as there;
- faults are answered as proxies and the server do, whenever the test says so: they hit a request
  before it is looked at.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
import threading
import time
from base64 import b64encode
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

#: Snapshots that are kept by id, so that a page is not a walk through the whole log.
_VIEWS = 12
KEY = "prod:stand-in|0123456789abcdef"
Document = dict[str, Any]


class Int64(int):
    """A BigInt of Convex; a plain int is a float, as all numbers of JavaScript are."""


class Revision(NamedTuple):
    """A line of the deployment's log; without a document it is a deletion."""

    ts: int
    component: str
    table: str
    id: str
    document: Document | None


class Write(NamedTuple):
    """A part of a transaction: the whole new document, or None to delete it."""

    table: str
    id: str
    document: Document | None
    component: str = ""


class Fault(NamedTuple):
    """What a request meets: a status, or ``drop``, ``hang``, ``garbage``."""

    kind: int | str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


class Deployment:
    """Documents, their history, and how they are served."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns, *, first_id: int = 0) -> None:
        self.key = KEY
        self.snapshot_page = 1024
        self.deltas_page = 128
        self.forget_before = 0
        self.refuse_snapshots_before = 0
        self.streaming_export_enabled = True
        self.faults: deque[Fault | None] = deque()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._now_ns = now_ns
        self._last = 0
        self._made = first_id
        self._log: list[Revision] = []
        self._current: dict[tuple[str, str], dict[str, Document]] = {}
        self._views: dict[tuple[int, str, str], list[Revision]] = {}
        self._tablets: dict[tuple[str, str], int] = {}
        self._lock = threading.RLock()

    # -- what an app does --------------------------------------------------------------------------

    def transact(self, writes: Iterable[Write]) -> int:
        """Write all at one time, which it gives; documents get their system fields."""
        with self._lock:
            ts = self._tick()
            for write in writes:
                tablet = (write.component, write.table)
                self._tablets.setdefault(tablet, 10_000 + len(self._tablets))
                there = self._current.setdefault(tablet, {})
                known = there.pop(write.id, None)
                document = None
                if write.document is not None:
                    created = known["_creationTime"] if known else ts / 1_000_000
                    document = {**write.document, "_id": write.id, "_creationTime": created}
                    there[write.id] = document
                self._log.append(Revision(ts, *tablet, write.id, document))
            return ts

    def insert(self, table: str, document: Document, *, component: str = "") -> str:
        """Insert a document; its id."""
        with self._lock:
            identity = self.new_id()
            self.transact([Write(table, identity, document, component)])
            return identity

    def patch(self, table: str, identity: str, fields: Document) -> None:
        """Change some fields of a document."""
        known = self.documents(table)[identity]
        self.transact([Write(table, identity, {**known, **fields})])

    def delete(self, table: str, identity: str) -> None:
        """Delete a document."""
        self.transact([Write(table, identity, None)])

    def new_id(self) -> str:
        """An id that nobody has; ids do not come in order."""
        with self._lock:
            self._made += 1
            return f"j{(self._made * 0x9E3779B97F4A7C15) % 2**64:016x}{self._made:015d}"

    def documents(self, table: str, component: str = "") -> dict[str, Document]:
        """The documents that are there now, by id."""
        with self._lock:
            return dict(self._current.get((component, table), {}))

    def now(self) -> int:
        """The deployment's time, after all that was written."""
        with self._lock:
            return self._tick()

    # -- the export --------------------------------------------------------------------------------

    def list_snapshot(self, query: dict[str, str]) -> Document:
        with self._lock:
            now = self._tick()
            snapshot = int(query["snapshot"]) if "snapshot" in query else now
            if snapshot > now:
                raise Refusal(400, "SnapshotTooNew", f"Snapshot value {snapshot} is in the future.")
            if snapshot < self.refuse_snapshots_before:
                raise Refusal(
                    400, "SnapshotTooOld", f"Snapshot value {snapshot} is too far in the past."
                )
            try:
                cursor = json.loads(query["cursor"]) if "cursor" in query else None
                after = (int(cursor["tablet"]), str(cursor["id"])) if cursor else None
            except (ValueError, KeyError, TypeError):
                raise Refusal(400, "InvalidListSnapshotCursor", "Invalid value") from None
            page = self._snapshot_page(query, snapshot, after)
            return {**page, "snapshot": snapshot}

    def _snapshot_page(
        self, query: dict[str, str], snapshot: int, after: tuple[int, str] | None
    ) -> Document:
        """A page ends at its size, whether or not more follows, and at a table's end."""
        tablets = sorted(
            (number, name)
            for name, number in self._tablets.items()
            if _selects(query, *name) and (after is None or number >= after[0])
        )
        if not tablets:
            return {"values": [], "cursor": None, "hasMore": False}
        number, (component, table) = tablets[0]
        found = self._view(snapshot, component, table)
        first = 0
        if after is not None and after[0] == number:
            first = bisect_right(found, after[1], key=lambda revision: revision.id)
        taken = found[first : first + self.snapshot_page]
        values = [_exported(query, revision) for revision in taken]
        cursor: Document | None = None
        if len(taken) == self.snapshot_page:
            cursor = {"tablet": str(number), "id": taken[-1].id}
        elif len(tablets) > 1:
            cursor = {"tablet": str(tablets[1][0]), "id": ""}
        return {
            "values": values,
            "cursor": None if cursor is None else json.dumps(cursor),
            "hasMore": cursor is not None,
        }

    def document_deltas(self, query: dict[str, str]) -> Document:
        """Whole transactions, until the page is full."""
        if "cursor" not in query:
            raise Refusal(
                400, "DocumentDeltasCursorRequired", "/api/document_deltas requires a cursor"
            )
        with self._lock:
            cursor, upper = int(query["cursor"]), self._tick()
            if cursor < self.forget_before:
                raise Refusal(
                    400,
                    "InvalidWindowToReadDocuments",
                    f"Trying to synchronize from timestamp {cursor + 1}, which is older than the "
                    "database's retention window.",
                )
            values: list[Document] = []
            end, has_more = None, False
            start = bisect_right(self._log, cursor, key=lambda revision: revision.ts)
            for read, revision in enumerate(islice(self._log, start, None), 1):
                if end is not None and revision.ts > end:
                    has_more = True
                    break
                if end is None and read >= self.deltas_page:
                    end = revision.ts
                if _selects(query, revision.component, revision.table):
                    values.append({**_exported(query, revision), "_deleted": not revision.document})
            return {"values": values, "cursor": upper if end is None else end, "hasMore": has_more}

    def json_schemas(self) -> Document:
        schema = {"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}
        with self._lock:
            return {table: schema for _, table in self._tablets}

    # -- inside ------------------------------------------------------------------------------------

    def _tick(self) -> int:
        self._last = max(self._now_ns(), self._last + 1)
        return self._last

    def _view(self, snapshot: int, component: str, table: str) -> list[Revision]:
        """The documents of a table as of a snapshot, by id."""
        key = (snapshot, component, table)
        if key not in self._views:
            found: dict[str, Revision] = {}
            for revision in self._log:
                if revision.ts <= snapshot and revision[1:3] == (component, table):
                    found[revision.id] = revision
            there = [revision for revision in found.values() if revision.document is not None]
            if len(self._views) > _VIEWS:
                self._views.clear()
            self._views[key] = sorted(there, key=lambda revision: revision.id)
        return self._views[key]


class Refusal(Exception):  # noqa: N818 - an answer
    """What the server answers instead."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def encoded(value: Any, form: str) -> Any:
    """A value in the export's JSON: ``convex_encoded_json`` is lossless, ``json`` is clean."""
    lossless = form in {"convex_encoded_json", "convex_json"}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, Int64):
        packed = b64encode(value.to_bytes(8, "little", signed=True)).decode()
        return {"$integer": packed} if lossless else str(int(value))
    if isinstance(value, bytes):
        text = b64encode(value).decode()
        return {"$bytes": text} if lossless else text
    if isinstance(value, int | float):
        return _float(float(value), lossless=lossless)
    if isinstance(value, list):
        return [encoded(item, form) for item in value]
    return {name: encoded(item, form) for name, item in value.items()}


def _float(number: float, *, lossless: bool) -> Any:
    is_special = not math.isfinite(number) or (number == 0 and math.copysign(1, number) < 0)
    if not is_special:
        return number
    if lossless:
        return {"$float": b64encode(struct.pack("<d", number)).decode()}
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity" if number < 0 else number


def _exported(query: dict[str, str], revision: Revision) -> Document:
    fields = revision.document if revision.document is not None else {"_id": revision.id}
    return {
        **encoded(fields, query.get("format", "json")),
        "_component": revision.component,
        "_table": revision.table,
        "_ts": revision.ts,
    }


def _selects(query: dict[str, str], component: str, table: str) -> bool:
    wanted = query.get("tableName", query.get("table_name"))
    if wanted is not None:
        return (component, table) == (query.get("component", ""), wanted)
    return query.get("component", component) == component


# -- HTTP ------------------------------------------------------------------------------------------

_FORMATS = {"convex_encoded_json", "convex_json", "json", "convex_clean_json", "export_json"}


class Server:
    """Serves a deployment in a thread of its own, on a free port of 127.0.0.1."""

    def __init__(self, deployment: Deployment, port: int = 0) -> None:
        self.deployment = deployment
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the stand-in does not start")

    def stop(self) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application()
        app.router.add_get("/api/{endpoint}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        deployment, query = self.deployment, dict(request.query)
        endpoint = request.match_info["endpoint"]
        deployment.requests.append((endpoint, query))
        fault = deployment.faults.popleft() if deployment.faults else None
        if fault is not None:
            return await self._fail(fault, request)
        try:
            self._admit(request)
            match endpoint:
                case "list_snapshot":
                    found = deployment.list_snapshot(query)
                case "document_deltas":
                    found = deployment.document_deltas(query)
                case "json_schemas":
                    found = deployment.json_schemas()
                case _:
                    return web.Response(status=404, text="Not Found")
        except Refusal as error:
            return web.json_response(
                {"code": error.code, "message": error.message}, status=error.status
            )
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    def _admit(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Convex" or key != self.deployment.key:
            raise Refusal(403, "BadDeployKey", "The provided deploy key was invalid")
        if not self.deployment.streaming_export_enabled:
            raise Refusal(
                403,
                "StreamingExportNotEnabled",
                "Streaming export is not available on your current subscription.",
            )
        form = request.query.get("format", "json")
        if form not in _FORMATS:
            raise Refusal(400, "BadFormat", f"format param must be one of [`json`]. Got {form}")

    async def _fail(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        match fault.kind:
            case "hang":
                await asyncio.sleep(3600)
            case "drop":
                if request.transport is not None:
                    request.transport.abort()
            case "garbage":
                return web.Response(body=b'{"values": [', content_type="application/json")
            case int(status):
                body = {"code": "InternalServerError", "message": "Your request couldn't be done"}
                return web.json_response(body, status=status, headers=fault.headers)
        return web.Response(status=500)


@contextmanager
def serving(deployment: Deployment, port: int = 0) -> Iterator[Server]:
    """A running server of the deployment."""
    server = Server(deployment, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
