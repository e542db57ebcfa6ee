"""Answers as JSON, and how the OpenAPI document describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from starlette.responses import Response

from nova_stream.api.convex.protocol import Answer, Failure, Refusal
from nova_stream.api.live.events import LiveEvents
from nova_stream.api.openapi import examples
from nova_stream.api.openapi import examples_operations as operation
from nova_stream.api.openapi import examples_over_time as over_time
from nova_stream.api.openapi.change import CHANGE
from nova_stream.api.problems import Problem
from nova_stream.scopes import Scope
from nova_stream.storage.access.trail import TrailRow
from nova_stream.storage.dead_letters.read import DeadLetter, WholeDeadLetter
from nova_stream.storage.jobs.rows import Alert, JobOverview, JobSummary, Restored, Run
from nova_stream.storage.lists.rows import (
    ListedExecution,
    ListedTask,
    ListedUser,
    TaskWithExecutions,
    WholeExecution,
)
from nova_stream.storage.lists.search import HitGroup
from nova_stream.storage.lists.slowest import SlowestExecutions
from nova_stream.storage.stats.compared import Comparison
from nova_stream.storage.stats.engagement_rows import Engagement
from nova_stream.storage.stats.explain_rows import Explanation
from nova_stream.storage.stats.history import AgentHistory, BuildHistory
from nova_stream.storage.stats.range_rows import (
    AgentRange,
    AgentSeries,
    AgentsRange,
    BuildSeries,
    BuildsRange,
)
from nova_stream.storage.stats.rows import (
    Activity,
    AgentStats,
    Build,
    BuildStats,
    BuildWithTasks,
    NamedAgentStats,
    Overview,
    Time,
)
from nova_stream.storage.stats.status import StreamStatus
from nova_stream.storage.stats.stream_history import StreamSeries

T = TypeVar("T")

_REF = "#/components/schemas/{name}"
_PROBLEMS = {
    401: "No token, or one that is not configured.",
    403: "The token lacks the scope.",
    404: "Not found.",
    409: "The current state does not allow this; the detail says why.",
    413: "The body is too large.",
    429: "Too many requests from this token or address; Retry-After says when to try again.",
    422: "The request is not valid; the detail says what to correct.",
    503: "Postgres or Kafka is away, or the schema is not this version's; try again.",
    504: "The statistics did not reach the position token in time.",
}
#: For ``responses`` of a route whose answers have an ETag.
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Unchanged since the ETag in If-None-Match."}
}
#: Every protected route answers with these.
_ALWAYS = (401, 403, 422, 429, 503)


class Items(msgspec.Struct, Generic[T], rename="camel", frozen=True):
    """A list, or a page of one; ``nextCursor`` leads to the next page, null at the end."""

    items: list[T]
    next_cursor: str | None = None


class Page(Items[T], Generic[T], frozen=True, kw_only=True):
    """A page of a list; ``prevCursor`` leads back to the page before, null where the list begins. A
    page with filters may hold fewer rows than wanted, even none, and have a ``nextCursor``.
    """

    prev_cursor: str | None


class SearchResult(msgspec.Struct, frozen=True):
    """What a search found, by kind: agents, builds, tasks, executions, users, jobs."""

    groups: list[HitGroup]


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = "live"


class Ready(msgspec.Struct, frozen=True, rename="camel"):
    """Everything that is needed answers. ``unregisteredAgents`` counts the names that have tasks
    or executions and no registered agent.
    """

    checks: dict[str, str]
    unregistered_agents: int
    status: str = "ready"


class TokenRights(msgspec.Struct, frozen=True, rename="camel"):
    """What a token may do until when (null = for ever); without any in the API ``name`` is null."""

    name: str | None
    scopes: list[Scope]
    expires_at: Time | None


class ClientSettings(msgspec.Struct, frozen=True, rename="camel"):
    """``stallMinutes``: a build that runs for longer may have stalled (NOVA_STALL_MINUTES)."""

    stall_minutes: int


class Accepted(msgspec.Struct, frozen=True):
    """What Kafka has acknowledged: how many changes, and the token to read them with."""

    accepted: int
    token: str


#: Everything that is answered, by the name of its schema, with an example.
_SCHEMAS: dict[str, tuple[Any, Any]] = {
    "AgentStatsList": (Page[AgentStats], examples.AGENTS),
    "AgentStats": (AgentStats, examples.AGENT),
    "NamedAgentStats": (NamedAgentStats, examples.NAMED_AGENT),
    "BuildStats": (BuildStats, examples.BUILD_STATS),
    "Overview": (Overview, examples.OVERVIEW),
    "BuildList": (Page[Build], examples.BUILDS),
    "BuildWithTasks": (BuildWithTasks, examples.BUILD_WITH_TASKS),
    "ActivityList": (Page[Activity], examples.ACTIVITIES),
    "TaskList": (Page[ListedTask], examples.TASKS),
    "TaskWithExecutions": (TaskWithExecutions, examples.TASK_WITH_EXECUTIONS),
    "ExecutionList": (Page[ListedExecution], examples.EXECUTIONS),
    "SlowestExecutions": (SlowestExecutions, examples.SLOWEST),
    "WholeExecution": (WholeExecution, examples.WHOLE_EXECUTION),
    "UserList": (Page[ListedUser], examples.USERS),
    "ListedUser": (ListedUser, examples.USER),
    "Found": (SearchResult, examples.FOUND),
    "JobList": (Items[JobOverview], operation.JOBS),
    "JobOverview": (JobOverview, operation.JOB),
    "JobSummaryList": (Items[JobSummary], operation.JOB_SUMMARIES),
    "RunList": (Page[Run], operation.RUNS),
    "Run": (Run, operation.RUN),
    "Restored": (Restored, operation.RESTORED),
    "AlertList": (Page[Alert], operation.ALERTS),
    "Alert": (Alert, operation.ALERT),
    "DeadLetterList": (Page[DeadLetter], operation.DEAD_LETTERS),
    "WholeDeadLetter": (WholeDeadLetter, operation.DEAD_LETTER),
    "Explanation": (Explanation, operation.EXPLANATION),
    "AgentHistoryList": (Items[AgentHistory], operation.AGENT_HISTORY),
    "BuildHistoryList": (Items[BuildHistory], operation.BUILD_HISTORY),
    "Engagement": (Engagement, operation.ENGAGEMENT),
    "AgentsRange": (AgentsRange, over_time.AGENTS),
    "AgentRange": (AgentRange, over_time.AGENT),
    "Comparison": (Comparison, over_time.COMPARISON),
    "AgentSeries": (AgentSeries, over_time.AGENT_SERIES),
    "BuildsRange": (BuildsRange, over_time.BUILDS),
    "BuildSeries": (BuildSeries, over_time.BUILD_SERIES),
    "StreamSeries": (StreamSeries, over_time.STREAM_SERIES),
    "LiveEvents": (LiveEvents, examples.LIVE_EVENTS),
    "StreamStatus": (StreamStatus, operation.STREAM_STATUS),
    "TrailList": (Page[TrailRow], operation.TRAIL),
    "TokenRights": (TokenRights, operation.TOKEN_RIGHTS),
    "ClientSettings": (ClientSettings, operation.CLIENT_SETTINGS),
    "Accepted": (Accepted, examples.ACCEPTED),
    "Live": (Live, examples.LIVE),
    "Ready": (Ready, examples.READY),
    "Problem": (Problem, examples.PROBLEM),
    "ConvexAnswer": (Answer, examples.CONVEX_ANSWER),
    "ConvexRefusal": (Refusal, examples.CONVEX_REFUSAL),
    "ConvexFailure": (Failure, examples.CONVEX_FAILURE),
}


def answer(value: Any, status: int = 200) -> Response:
    """``value`` as a JSON answer that nobody keeps."""
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def answers(
    schema: str,
    description: str,
    *problems: int,
    status: int = 200,
    protected: bool = True,
    links: Mapping[str, Any] | None = None,
    of_range: str | None = None,
) -> dict[int | str, dict[str, Any]]:
    """A route's ``responses``: what it answers and where that leads to (``api.links``), and its
    problems (besides those that every protected route has). ``of_range`` is what it answers to who
    asks for a range of time.
    """
    content = _content("application/json", schema)
    if of_range:
        ranged = _content("application/json", of_range)
        either = [c["application/json"]["schema"] for c in (content, ranged)]
        content = {"application/json": {"schema": {"anyOf": either}}}
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": description, "content": content}
    }
    if links:
        found[status]["links"] = links
    return {**found, **described_problems(*problems, *(_ALWAYS if protected else ()))}


def listed(
    schema: str, *, links: Mapping[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a list that is also given as CSV."""
    found = answers(schema, "A page.", 504, links=links)
    found[200]["content"]["text/csv"] = {"schema": {"type": "string"}}
    return found


def described_problems(*problems: int) -> dict[int | str, dict[str, Any]]:
    """The part of a route's ``responses`` that are problems of these statuses."""
    content = _content("application/problem+json", "Problem")
    return {
        code: {"description": _PROBLEMS[code], "content": content} for code in sorted(set(problems))
    }


def schemas() -> dict[str, Any]:
    """The schemas that ``answers`` refers to, made from the rows themselves."""
    kinds = [kind for kind, _ in _SCHEMAS.values()]
    roots, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    for (name, (_, example)), root in zip(_SCHEMAS.items(), roots, strict=True):
        made = root["$ref"].rpartition("/")[2]  # of a generic a name that nobody wants to read
        schema = components.pop(made)
        assert name not in components, f"{name} is the name of another schema already"
        components[name] = {**schema, "title": name, "examples": [example]}
    return components | {"Change": CHANGE}


def _content(media_type: str, schema: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REF.format(name=schema)}}}
