"""What live events bring, as they are sent and as the OpenAPI document tells it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from nova_stream.storage.faults import PostgresState
from nova_stream.storage.stats.rows import Activity, AgentStats, Build, BuildStats, Overview


class AgentGone(msgspec.Struct, frozen=True, rename="camel"):
    """The agent was deleted or has another name now, or a name without an agent got one or has
    nothing left.
    """

    agent_name: str | None
    agent_id: str | None
    registered: bool


class StreamState(msgspec.Struct, frozen=True, rename="camel"):
    """Whether Postgres answers; while it does not, what was sent is old."""

    connected: bool
    database_state: Annotated[
        PostgresState | UnsetType, msgspec.Meta(description="What it does; where that is known.")
    ] = UNSET


class Nothing(msgspec.Struct, frozen=True):
    """The kind of the event says all."""


class LiveEvents(msgspec.Struct, frozen=True, kw_only=True):
    """What each kind of event of `GET /api/v1/stream` has as its `data`, by its name."""

    agent: AgentStats
    agent_gone: AgentGone = msgspec.field(name="agent-gone")
    builds: BuildStats
    overview: Overview
    build: Build
    activity: Activity
    snapshot: Nothing
    state: StreamState
    reset: Nothing
