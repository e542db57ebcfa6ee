"""What streams of changes live on: one look at the database an interval for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from msgspec import UNSET

from nova_stream.api.auth.tokens import Tokens
from nova_stream.api.database import Database
from nova_stream.api.live.event_log import EventFilter, EventLog
from nova_stream.api.live.events import AgentGone, StreamState
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.problems import stopping
from nova_stream.errors import TryAgainError
from nova_stream.storage.faults import is_away, name_of, state_of
from nova_stream.storage.stats import changes
from nova_stream.storage.stats.rows import AgentStats
from nova_stream.telemetry import get_logger

#: Seconds between two looks, and between two frames of one client: three looks, so that frames
#: that are held up on their way are still at most two a second.
INTERVAL = 0.2
_PAUSE_S = 0.6
_HEARTBEAT_S = 15.0
#: Seconds for one look; then Postgres counts as away.
_LOOK_LIMIT_S = 5.0
#: Seconds between two looks whether a client's token is still one.
_CHECK_S = 2.0
#: Clients that are served, and seconds for it, before others get their turn, and the pause then:
#: 500 frames at once would hold up every read.
_TURN, _TURN_S = 20, 0.01
_TURN_PAUSE_S = 0.002

#: Rows that are put on the event log before others get their turn.
_ROWS = 500

#: Seconds between two looks at least.
_REST_S = 0.05

_NOTHING = EventFilter(events=frozenset())
_COMMENT = b":\n\n"
_HELLO = b"retry: 2000\n\n"
_RESET = b'event: reset\ndata: {"reason":"this id cannot be gone on from"}\n\n'

_log = get_logger(__name__)


class Client:
    """One stream: what it wants and what it has seen (None = nothing yet)."""

    def __init__(
        self,
        wanted: EventFilter,
        seen: int | None,
        allowed: Callable[[], bool | None],
        caller: object = "",
    ) -> None:
        self.caller = caller
        self.wanted = wanted
        self.seen = seen
        self.allowed = allowed
        self.ended = False
        self._sent_at = self._checked_at = time.monotonic()
        self._served_at = float("-inf")
        self._serving = False
        self._greeted = self._begun = False
        self._may: bool | None = True
        self._told = 0
        self._event_log: EventLog | None = None  # from which more is to be taken at once
        self._whole_from: int | None = None  # where the full picture began that is not yet sent
        self._waits: asyncio.Future[bytes] | None = None

    async def frame(self) -> bytes:
        """The next events or comment; empty when the stream is over."""
        if self.ended:
            return b""
        more = self._event_log is not None and self._event_log.settled and self._may
        if more and self._event_log is not None and (frame := self._take(self._event_log)):
            return frame
        if self._serving:  # what was given has gone out only now
            self._serving = False
            self._served_at = time.monotonic()
        self._waits = asyncio.get_running_loop().create_future()
        try:
            return await self._waits
        finally:
            self._waits = None

    def end(self) -> None:
        """Give no more."""
        self.ended = True
        self._give(b"")

    def serve(self, event_log: EventLog, *, whole: bool, recheck: bool) -> bool:
        """Give what is due, if it takes anything; whether something was given.

        ``whole`` tells that the event log shows a full picture, which those may see who have seen
        nothing yet; ``recheck`` that tokens are others.
        """
        now = time.monotonic()
        if recheck or self._may is None or now - self._checked_at >= _CHECK_S:
            self._checked_at = now
            self._may = self.allowed()
            if self._may is False:
                self.end()
        if self._waits is None or self._waits.done():
            return False
        frame = self._next(event_log, now, whole=whole)
        if frame:
            self._serving = True
        elif now - self._sent_at >= _HEARTBEAT_S:
            frame = _COMMENT
        return bool(frame) and self._give(frame)

    def _next(self, event_log: EventLog, now: float, *, whole: bool) -> bytes:
        if now - self._served_at < _PAUSE_S - INTERVAL / 4:  # looks are no more regular than that
            return b""
        if not whole and not self._begun:  # nothing is known yet but that
            frame = b"" if self._greeted else event_log.since(0, _NOTHING).text
            self._greeted = True
            return frame
        if self._may is None:  # nobody can tell: how things stand, and no row
            told, self._told = max(self._told, self.seen or 0), event_log.number
            return event_log.since(told, _NOTHING).text
        if self.seen is None:
            self.seen, self._whole_from = 0, event_log.number
        self._begun = True
        return self._take(event_log)

    def _take(self, event_log: EventLog) -> bytes:
        """The next piece of what has not been seen; the rest is taken when it has gone out."""
        assert self.seen is not None
        if 0 < self.seen < event_log.floor:  # what is gone since has been forgotten
            self.ended = True
            return b""
        text, self.seen = event_log.since(self.seen, self.wanted, self._whole_from or 0)
        ends = self.seen == event_log.number
        self._event_log = None if ends else event_log
        if ends and self._whole_from is not None:
            self._whole_from = None
            text += event_log.snapshot()
        if text:
            self._sent_at = time.monotonic()
        return text

    def _give(self, frame: bytes) -> bool:
        if self._waits is None or self._waits.done():
            return False
        self._sent_at = time.monotonic()
        self._waits.set_result(frame)
        return True


class Broadcaster:
    """All streams of this process. It looks at the database while there are any."""

    def __init__(
        self,
        database: Database,
        metrics: ApiMetrics,
        limit: int,
        tokens: Tokens,
    ) -> None:
        """``tokens``: what clients' ``allowed`` looks at; brought up to date around each look."""
        self._tokens = tokens
        self._checked = 0
        self._database = database
        self._metrics = metrics
        self._limit = limit
        self._event_log = EventLog()
        self._marker: changes.Marker | None = None
        self._ids: set[str] = set()
        self._clients: set[Client] = set()
        self._task: asyncio.Task[None] | None = None
        #: What was told of looks that fail, while it lasts.
        self._trouble: str | None = None
        self._ended = False

    def join(
        self,
        wanted: EventFilter,
        last_id: str | None,
        allowed: Callable[[], bool | None],
        caller: object = "",
    ) -> Client:
        """A new client, which goes on from ``last_id`` where that is possible; ``allowed`` is asked
        again and again whether it may stay (None: nobody can tell). Whoever joins must ``leave``.

        Raises TryAgainError when there are too many, the server is stopping, or three quarters of
        all are ``caller``'s.
        """
        if self._ended:
            raise stopping()
        if len(self._clients) >= self._limit:
            raise TryAgainError(
                "too-many-streams",
                f"{self._limit} streams are open, this server's limit (NOVA_API_STREAMS); "
                "try again later.",
                retry_after=5,
            )
        if sum(client.caller == caller for client in self._clients) * 4 >= self._limit * 3:
            raise TryAgainError(
                "too-many-streams",
                f"This caller has three quarters of the {self._limit} streams that this server "
                "keeps open (NOVA_API_STREAMS); close some of them.",
                retry_after=5,
                own_share=True,
            )
        seen = None if last_id is None else self._event_log.place(last_id)
        client = Client(wanted, seen, allowed, caller)
        self._clients.add(client)
        self._metrics.streams.set(len(self._clients))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return client

    async def frames(self, client: Client, *, resumes: bool) -> AsyncIterator[bytes]:
        """What ``client`` is sent, until it is ended; ``resumes`` tells that it came with an id."""
        yield _HELLO + _RESET if resumes and client.seen is None else _HELLO
        while frame := await client.frame():
            yield frame

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self._metrics.streams.set(len(self._clients))

    def end(self) -> None:
        """End all streams, and take no more."""
        self._ended = True
        for client in self._clients:
            client.end()

    async def close(self) -> None:
        """End all streams and stop looking."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- looking -----------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._clients and not self._ended:
            started = time.monotonic()
            try:
                async with asyncio.timeout(_LOOK_LIMIT_S):
                    await self._tokens.refresh()
                    await self._look()
            except Exception as error:  # whatever it is, streams say so and go on
                self._tell_away(error)
            looked = time.monotonic() - started
            await self._serve()
            # Where a look takes long, Postgres gets a rest of as long.
            await asyncio.sleep(max(started + INTERVAL - time.monotonic(), looked, _REST_S))

    async def _look(self) -> None:
        with self._metrics.looks.time():
            async with self._database.brief_look() as connection:
                found = await changes.read(connection, self._marker, self._ids)
        # Postgres may have stood still, and a token been made or revoked, since they were asked.
        await self._tokens.refresh(insist=True)
        if not self._tokens.fresh:
            raise TimeoutError
        if found is not None:
            self._event_log.settled = False
            try:
                await self._show(found)
            finally:
                self._event_log.settled = True
        self._event_log.put("state", "state", StreamState(connected=True, database_state="up"))
        self._trouble = None

    def _tell_away(self, error: Exception) -> None:
        trouble = None if is_away(error) else name_of(error)
        if trouble is not None and trouble != self._trouble:
            _log.error("checking for changes failed", exc_info=error)
        self._trouble = trouble or self._trouble
        # A statement that is refused says nothing of the server.
        known = state_of(error) if is_away(error) else UNSET
        self._event_log.put("state", "state", StreamState(connected=False, database_state=known))

    async def _serve(self) -> None:
        # Who comes while Postgres does not answer has to wait, unless there is a token to go by.
        whole = self._marker is not None and (self._tokens.fresh or not self._tokens.open)
        recheck = self._checked != self._tokens.version
        self._checked = self._tokens.version
        given, began = 0, time.monotonic()
        for client in list(self._clients):
            given += client.serve(self._event_log, whole=whole, recheck=recheck)
            if given >= _TURN or time.monotonic() - began > _TURN_S:
                await asyncio.sleep(_TURN_PAUSE_S)
                given, began = 0, time.monotonic()

    # -- what a look found -------------------------------------------------------------------------

    async def _show(self, found: changes.ChangedRows) -> None:
        event_log = self._event_log
        event_log.put("builds", "builds", found.build_stats)
        event_log.put("overview", "overview", found.overview)
        for agent_id in self._ids - found.agent_ids:
            self._gone(f"agent:{agent_id}", agent_id)
        for number, row in enumerate(found.agents):
            self._agent(row)
            await _turn(number)
        await self._unregistered(found.unregistered)
        for build in found.builds:
            event_log.put(f"build:{build.id}", "build", build)
        for activity in found.activities:
            agent = activity.agent_name or ""
            event_log.put(f"activity:{activity.id}", "activity", activity, agent)
        self._ids = found.agent_ids
        self._marker = found.marker

    def _agent(self, row: AgentStats) -> None:
        key = f"agent:{row.agent_id}"
        before = self._event_log.agent_of(key)
        if before is not None and before != row.agent_name:
            self._gone(key, row.agent_id, kept=f"renamed:{self._event_log.number}:{row.agent_id}")
        self._event_log.put(key, "agent", row, row.agent_name)

    async def _unregistered(self, rows: list[AgentStats]) -> None:
        there = {f"name:{row.agent_name}": row for row in rows}
        for key in self._event_log.keys("agent"):
            if key.startswith("name:") and key not in there:
                self._gone(key, None)
        for number, (key, row) in enumerate(there.items()):
            self._event_log.put(key, "agent", row, row.agent_name)
            await _turn(number)

    def _gone(self, key: str, agent_id: str | None, kept: str | None = None) -> None:
        name = self._event_log.agent_of(key)
        value = AgentGone(name, agent_id, registered=agent_id is not None)
        self._event_log.put(kept or key, "agent-gone", value, name)


async def _turn(number: int) -> None:
    """Let others have their turn after some rows."""
    if number % _ROWS == _ROWS - 1:
        await asyncio.sleep(0)
