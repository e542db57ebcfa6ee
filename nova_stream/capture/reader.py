"""Reading the deployment with patience: pages, one of them ahead, through all that passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from nova_stream.capture.client import ConvexClient, DeltaPage, SnapshotPage
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.capture.waiting import Outage
from nova_stream.errors import NovaStreamError, SourceAwayError

Answer = TypeVar("Answer")


class Reader:
    """Asks until there is an answer.

    While a page is being published the next one of the same walk is fetched. All calls raise
    SourceRefusedError or CursorExpiredError.
    """

    def __init__(self, client: ConvexClient, metrics: CaptureMetrics) -> None:
        self.client = client
        self._metrics = metrics
        self._outage = Outage(f"Convex at {client.place}")
        self._ahead: tuple[object, asyncio.Task[Any]] | None = None

    async def tables(self) -> list[str] | None:
        """As the client's."""
        return await self._patiently("json_schemas", self.client.tables)

    async def snapshot(self, table: str, snapshot: int | None, cursor: str | None) -> SnapshotPage:
        """As the client's ``list_snapshot``."""
        page = await self._page(
            (table, snapshot, cursor), lambda: self._ask_snapshot(table, snapshot, cursor)
        )
        if page.has_more:
            pinned, after = page.snapshot, page.cursor
            self._fetch_ahead(
                (table, pinned, after), lambda: self._ask_snapshot(table, pinned, after)
            )
        return page

    async def deltas(self, cursor: int) -> DeltaPage:
        """As the client's ``document_deltas``."""
        page = await self._page(cursor, lambda: self._ask_deltas(cursor))
        after = page.cursor
        if page.has_more and after > cursor:
            self._fetch_ahead(after, lambda: self._ask_deltas(after))
        return page

    async def forget(self) -> None:
        """Drop the page that was fetched ahead, if any."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead[1].cancel()
            # An error of a page that nobody asks for any more is told by the next one.
            await asyncio.gather(ahead[1], return_exceptions=True)

    async def _ask_snapshot(
        self, table: str, snapshot: int | None, cursor: str | None
    ) -> SnapshotPage:
        return await self._patiently(
            "list_snapshot",
            lambda: self.client.list_snapshot(table, snapshot=snapshot, cursor=cursor),
        )

    async def _ask_deltas(self, cursor: int) -> DeltaPage:
        return await self._patiently("document_deltas", lambda: self.client.document_deltas(cursor))

    async def _page(self, key: object, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        if self._ahead is None or self._ahead[0] != key:
            await self.forget()
            return await ask()
        task, self._ahead = self._ahead[1], None
        page: Answer = await task  # which is cancelled with whoever waits for it
        return page

    def _fetch_ahead(self, key: object, ask: Callable[[], Awaitable[Any]]) -> None:
        self._ahead = (key, asyncio.ensure_future(ask()))

    async def _patiently(self, endpoint: str, call: Callable[[], Awaitable[Answer]]) -> Answer:
        while True:
            try:
                answer = await call()
            except SourceAwayError as error:
                self._told(endpoint, "away")
                await asyncio.sleep(self._outage.pause_after(error, error.retry_after))
            except NovaStreamError:
                self._told(endpoint, "refused")
                raise
            else:
                self._told(endpoint, "answered")
                self._outage.over()
                return answer

    def _told(self, endpoint: str, outcome: str) -> None:
        self._metrics.requests.labels(endpoint, outcome).inc()
        self._metrics.source_up.set(outcome == "answered")
