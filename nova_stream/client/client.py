"""The client of the HTTP API: ``async with NovaClient() as nova``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Generic, Required, Self, TypedDict, TypeVar, Unpack, cast

import httpx
import msgspec

from nova_stream.client.live import SILENCE_S, LiveEvent, following
from nova_stream.client.problems import error_of, unreachable
from nova_stream.errors import NovaStreamError
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.lists.rows import (
    ListedExecution,
    ListedTask,
    ListedUser,
    TaskWithExecutions,
    WholeExecution,
)
from nova_stream.storage.stats.engagement_rows import Engagement
from nova_stream.storage.stats.range_rows import (
    AgentRange,
    AgentRangeRow,
    AgentSeries,
    AgentsRange,
    BuildSeries,
    BuildsRange,
    Figures,
)
from nova_stream.storage.stats.rows import (
    Activity,
    AgentStats,
    Build,
    BuildStats,
    BuildWithTasks,
    NamedAgentStats,
    Overview,
)

T = TypeVar("T")
Time = datetime | str
#: ``after`` waits for up to a minute.
_TIMEOUT = httpx.Timeout(10, read=75)


class After(TypedDict, total=False):
    """Show at least everything up to the token ``after``; wait ``timeout`` seconds for it (10, at
    most 60).
    """

    after: PositionToken | str
    timeout: float


class Range(After, total=False):
    """From ``from_`` to before ``to`` (now): a datetime with its offset, or ISO 8601."""

    from_: Required[Time]
    to: Time


class Filters(After, total=False):
    """What lists take, each those that docs/http-api.md names: exactly this value, a range of the
    time that orders it, a text ``q`` in it. ``limit`` is the size of a page; all pages are read.
    """

    from_: Time
    to: Time
    q: str
    limit: int
    status: str
    agent: str
    build: str
    task: str
    user: str
    event_type: str
    tier: str
    min_duration: int
    order: str


class _Page(msgspec.Struct, Generic[T], rename="camel"):
    items: list[T]
    next_cursor: str | None = None


def _query(given: dict[str, Any]) -> dict[str, str]:
    """Parameters as an address has them."""
    found = {}
    for name, value in given.items():
        if value is None:
            continue
        first, *others = name.rstrip("_").split("_")
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError(f"{name}={value}: a datetime needs its time zone")
            value = value.isoformat()  # noqa: PLW2901
        text = str(value).lower() if isinstance(value, bool) else str(value)
        found[first + "".join(map(str.title, others))] = text
    return found


class NovaClient:
    """Reads nova-stream's figures and rows, and follows what changes.

    ``settings`` are read from the environment if not given: NOVA_API_URL, and NOVA_API_TOKEN where
    the API has tokens; ``transport`` takes the place of httpx's own. Calls may run at once. Lists
    give all rows, page by page as they are asked for. What is given are the rows that
    docs/http-api.md describes, their fields in snake_case; texts that the token may not see are
    ``msgspec.UNSET``. Calls raise

    - ApiAccessError, ApiNotFoundError, ApiError: the request is refused, the message says why;
    - ApiUnavailableError: try again, after ``retry_after`` seconds where the API says so;
    - PositionNotReachedError: the stream did not come to ``after`` in time.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        settings = settings or load_settings()
        token = settings.api_token
        self._address = settings.api_url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=f"{self._address}/api/v1/",
            headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token else None,
            timeout=_TIMEOUT,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, answer: type[T] | Any = Any, **query: Any) -> T:
        """What any GET route below ``/api/v1/`` answers, as ``answer``."""
        try:
            response = await self._http.get(path, params=_query(query))
        except httpx.HTTPError as error:
            raise unreachable(error, f"GET {self._address}/api/v1/{path}") from error
        if not response.is_success:
            raise error_of(response)
        return cast("T", msgspec.json.decode(response.content, type=answer))

    async def wait(self, token: PositionToken | str, timeout: float = 10.0) -> None:
        """Return when everything up to ``token`` is in the figures."""
        await self.get("tasks", after=token, timeout=timeout, limit=1)

    def agents(
        self, *, unregistered: bool = False, **after: Unpack[After]
    ) -> AsyncIterator[AgentStats]:
        """The figures of all registered agents; with ``unregistered`` of all names."""
        return self._rows("agents/stats", AgentStats, unregistered=unregistered, **after)

    async def agent(
        self, name: str, *, unregistered: bool = False, **after: Unpack[After]
    ) -> NamedAgentStats:
        """The figures of one agent."""
        asked = {"name": name, "unregistered": unregistered, **after}
        return await self.get("agent/stats", NamedAgentStats, **asked)

    async def agent_range(
        self, name: str, *, unregistered: bool = False, **range_: Unpack[Range]
    ) -> AgentRange:
        """What one agent did in a range of time."""
        asked = {"name": name, "unregistered": unregistered, **range_}
        return await self.get("agent/stats", AgentRange, **asked)

    async def overall_range(self, **range_: Unpack[Range]) -> Figures:
        """What all agents did together in a range."""
        return (await self.get("agents/stats", AgentsRange, limit=1, **range_)).overall

    def agent_ranges(
        self, *, unregistered: bool = False, **range_: Unpack[Range]
    ) -> AsyncIterator[AgentRangeRow]:
        """What each agent did in a range, by name."""
        return self._rows("agents/stats", AgentRangeRow, unregistered=unregistered, **range_)

    async def agent_series(
        self,
        name: str | None = None,
        *,
        bucket: str = "1h",
        zone: str = "UTC",
        unregistered: bool | None = None,
        **range_: Unpack[Range],
    ) -> AgentSeries:
        """What one agent, or all together, did in the buckets of a range."""
        path = "agents/series" if name is None else "agent/series"
        asked = {"name": name, "bucket": bucket, "zone": zone, "unregistered": unregistered}
        return await self.get(path, AgentSeries, **asked, **range_)

    async def build_stats(self, **after: Unpack[After]) -> BuildStats:
        """The figures of all builds."""
        return await self.get("builds/stats", BuildStats, **after)

    async def builds_range(self, **range_: Unpack[Range]) -> BuildsRange:
        """The builds that ended in a range."""
        return await self.get("builds/stats", BuildsRange, **range_)

    async def build_series(
        self, *, bucket: str = "1h", zone: str = "UTC", **range_: Unpack[Range]
    ) -> BuildSeries:
        """The builds that ended, in the buckets of a range."""
        return await self.get("builds/series", BuildSeries, bucket=bucket, zone=zone, **range_)

    async def overview(self, **after: Unpack[After]) -> Overview:
        """The figures of the whole."""
        return await self.get("overview", Overview, **after)

    async def engagement(self, *, from_: Time | None = None, to: Time | None = None) -> Engagement:
        """Active users, retention and churn."""
        return await self.get("engagement", Engagement, from_=from_, to=to)

    def builds(self, **filters: Unpack[Filters]) -> AsyncIterator[Build]:
        """Builds, the newest start first."""
        return self._rows("builds", Build, **filters)

    async def build(self, id_: str, **after: Unpack[After]) -> BuildWithTasks:
        """A build with its first tasks; ``tasks(build=...)`` gives all."""
        return await self.get("build", BuildWithTasks, id=id_, **after)

    def tasks(self, **filters: Unpack[Filters]) -> AsyncIterator[ListedTask]:
        """Tasks, the newest creation first."""
        return self._rows("tasks", ListedTask, **filters)

    async def task(self, id_: str, **after: Unpack[After]) -> TaskWithExecutions:
        """A task with its newest executions; ``executions(task=...)`` gives all."""
        return await self.get("task", TaskWithExecutions, id=id_, **after)

    def executions(self, **filters: Unpack[Filters]) -> AsyncIterator[ListedExecution]:
        """Executions, the newest first, archived ones too."""
        return self._rows("executions", ListedExecution, **filters)

    async def execution(self, id_: str, **after: Unpack[After]) -> WholeExecution:
        """An execution with prompt and response."""
        return await self.get("execution", WholeExecution, id=id_, **after)

    def activity(self, **filters: Unpack[Filters]) -> AsyncIterator[Activity]:
        """The activity feed, the newest first."""
        return self._rows("activity", Activity, **filters)

    def users(self, **filters: Unpack[Filters]) -> AsyncIterator[ListedUser]:
        """Users, the most recently active first."""
        return self._rows("users", ListedUser, **filters)

    def follow(
        self,
        *,
        events: Collection[str] | None = None,
        agents: Collection[str] | None = None,
        last_event_id: str | None = None,
        on_break: Callable[[NovaStreamError], None] = lambda _: None,
    ) -> AsyncIterator[LiveEvent]:
        """Live events: all rows as they are, then what changes, until the loop is left.

        ``events`` and ``agents`` choose (docs/http-api.md); ``last_event_id`` goes on where an
        earlier one with the same choice ended. Breaks are mended from the last id on; ``on_break``
        is told of each. Raises what does not pass: ApiAccessError, ApiError.
        """
        chosen = {"events": events, "agents": agents}
        query = {name: ",".join(names) for name, names in chosen.items() if names is not None}

        def connect(after: str | None) -> AbstractAsyncContextManager[httpx.Response]:
            headers = {"Last-Event-ID": after} if after else {}
            timeout = httpx.Timeout(10, read=SILENCE_S)
            return self._http.stream(
                "GET", "stream", params=query, headers=headers, timeout=timeout
            )

        return following(connect, last_event_id, on_break)

    async def _rows(self, path: str, row: type[T], **query: Any) -> AsyncIterator[T]:
        cursor = None
        while True:
            page: _Page[T] = await self.get(path, _Page[row], cursor=cursor, **query)  # type: ignore[valid-type]
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return
