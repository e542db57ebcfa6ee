"""Which lists there are: their tables, orders, columns and filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from nova_stream.storage.lists.rows import ListedExecution, ListedTask, ListedUser
from nova_stream.storage.stats.rows import Activity, Build
from nova_stream.storage.stats.sql import FAILED_EXECUTION

#: Rows that a page looks at, at most, where no index leads to what a filter wants.
WALK = 20_000


class Filter(NamedTuple):
    """A condition on a row ``w`` with ``{value}``, for what is given, and what an
    index does for it.

    ``order``: the index that finds it gives the list's order, too. ``set``: an index finds all that
    fulfil it, in no order. ``row``: it is looked at row by row.
    """

    condition: str
    found_by: Literal["order", "set", "row"] = "row"
    #: Rows that are looked at, at most, when this is one of the filters.
    walk: int = WALK


class Listing(NamedTuple):
    """A list: newest first by ``time`` and ``id``, then what has no time."""

    kind: type[msgspec.Struct]
    table: str
    time: str
    #: Columns that filters look at.
    filtered: str
    #: What a row shows, and what only those see who may see documents; ``t`` is the table.
    columns: str
    documents: str
    #: By name; ``q`` is for those who may see documents, ``id`` does without.
    filters: Mapping[str, Filter]
    #: Parts of the table, each with an index of its own in the list's order.
    parts: tuple[str, ...] = ()
    #: What ``documents`` are joined from besides the table.
    joined: str = ""


#: The text is in one of these, in any case; each is looked at row by row.
_CONTAINS = "strpos(lower({0}), lower({{value}})) > 0"


def contains(*texts: str) -> Filter:
    """One of ``texts`` has the given text."""
    return Filter(f"({' OR '.join(_CONTAINS.format(text) for text in texts)})", walk=10_000)


#: What came of an execution; of an archived one the archive knows it.
_EXECUTION_STATUS = (
    "CASE WHEN {0}.doc IS NULL THEN 'archived' "
    "WHEN coalesce({0}.error, '') = '' THEN 'succeeded' ELSE 'failed' END"
)
_OF_BUILD = "w.task_id IN (SELECT k.id FROM tasks k WHERE k.build_id = {value})"

BUILDS = Listing(
    Build,
    "builds",
    "started_at",
    "status, prd_name",
    "t.id, t.prd_id, t.prd_name, t.status, t.started_at, t.completed_at, t.error",
    "",
    {
        "status": Filter("w.status = {value}", "order"),
        "agent": Filter(
            "EXISTS (SELECT FROM tasks k WHERE k.build_id = w.id AND k.agent = {value})", walk=2000
        ),
        "q": contains("w.id", "w.prd_name"),
    },
)
TASKS = Listing(
    ListedTask,
    "tasks",
    "created_at",
    "build_id, agent, status, title",
    "t.id, t.build_id, t.task_id, t.agent, t.status, t.phase, t.attempts, t.created_at, "
    "t.changed_at",
    "t.title, t.error, failing.*",
    {
        "build": Filter("w.build_id = {value}", "set"),
        "agent": Filter("w.agent = {value}", "set"),
        "status": Filter("w.status = ANY (string_to_array({value}, ','))"),
        "q": contains("w.id", "w.title"),
        "id": contains("w.id"),
    },
    joined=FAILED_EXECUTION,
)
EXECUTIONS = Listing(
    ListedExecution,
    "executions",
    "timestamp",
    "task_id, agent, doc, error, duration",
    "t.id, t.task_id, t.agent, t.duration, t.timestamp, t.doc IS NULL AS archived, t.model, "
    f"t.gates_passed, {_EXECUTION_STATUS.format('t')} AS status",
    "t.error",
    {
        "task": Filter("w.task_id = {value}", "set"),
        "build": Filter(_OF_BUILD, "set"),
        "agent": Filter("w.agent = {value}", "order"),
        # Documents are read for it.
        "status": Filter(f"({_EXECUTION_STATUS.format('w')}) = {{value}}", walk=2000),
        "minDuration": Filter("w.duration >= {value}::numeric"),
        "q": contains("w.id"),
        "id": contains("w.id"),
    },
    ("w.doc IS NOT NULL", "w.doc IS NULL AND w.deleted_at IS NULL"),
)
ACTIVITY = Listing(
    Activity,
    "agent_activity_feed",
    "timestamp",
    "agent_name, task_id, user_id, event_type, details",
    "t.id, t.user_id, t.agent_name, t.event_type, t.task_id, t.details, t.timestamp",
    "",
    {
        "agent": Filter("w.agent_name = {value}"),
        "build": Filter(_OF_BUILD),
        "user": Filter("w.user_id = {value}"),
        "eventType": Filter("w.event_type = {value}"),
        "q": contains("w.details"),
    },
)
USERS = Listing(
    ListedUser,
    "user_profiles",
    "last_active_at",
    "tier, user_id, email",
    "t.id, t.user_id, t.tier, t.global_wisdom_opt_in, t.created_at, t.last_active_at",
    "t.email",
    {
        "tier": Filter("w.tier = {value}"),
        "q": contains("w.id", "w.user_id", "w.email"),
        "id": contains("w.id", "w.user_id"),
    },
)
