"""What the readers give of a range of time."""

from __future__ import annotations

from typing import Annotated

import msgspec

from nova_stream.storage.stats.rows import Time

_Rate = Annotated[
    float | None,
    msgspec.Meta(
        description="Of those that finished, percent, rounded to two decimals; null without any."
    ),
]
_Throughput = Annotated[
    float, msgspec.Meta(description="Finished an hour, rounded to three decimals.")
]
_Mean = Annotated[
    float | None, msgspec.Meta(description="Milliseconds, rounded; null without any.")
]
_Percentile = Annotated[
    float | None,
    msgspec.Meta(description="Milliseconds that so many percent do not exceed; null without any."),
]


class Figures(msgspec.Struct, rename="camel", kw_only=True):
    """What was done: tasks that finished, executions and their durations."""

    completed_tasks: int = 0
    failed_tasks: int = 0
    success_rate: _Rate = None
    throughput: _Throughput = 0
    executions: int = 0
    avg_duration: _Mean = None
    p50_duration: _Percentile = None
    p95_duration: _Percentile = None
    p99_duration: _Percentile = None


class BuildFigures(msgspec.Struct, rename="camel", kw_only=True):
    """The builds that ended, and how long the completed ones took."""

    completed_builds: int = 0
    failed_builds: int = 0
    success_rate: _Rate = None
    throughput: _Throughput = 0
    avg_duration_ms: _Mean = None
    p50_duration_ms: _Percentile = None
    p95_duration_ms: _Percentile = None
    p99_duration_ms: _Percentile = None


_Error = Annotated[
    float,
    msgspec.Meta(
        description="How far percentiles may be off: 0.01 where a range has whole days, but for "
        "buckets of less than an hour; else 0."
    ),
]


class AgentRangeRow(Figures, rename="camel", kw_only=True):
    """What an agent did, or a name that no registered agent has (``registered`` false)."""

    agent_id: str | None
    agent_name: str
    role: str | None
    registered: bool


class _Ranged(msgspec.Struct, kw_only=True):
    """The range that was asked for."""

    from_: Time = msgspec.field(name="from")
    to: Annotated[Time, msgspec.Meta(description="The end, which is not in the range.")]


class AgentsRange(_Ranged, rename="camel", kw_only=True):
    """A page of agents, by name; ``overall`` is of every name, registered or not."""

    overall: Figures
    percentile_error: _Error
    items: list[AgentRangeRow]
    next_cursor: str | None = None
    prev_cursor: str | None = None


class AgentRange(AgentRangeRow, rename="camel", kw_only=True):
    """What one agent did."""

    percentile_error: _Error
    from_: Time = msgspec.field(name="from")
    to: Annotated[Time, msgspec.Meta(description="The end, which is not in the range.")]


class BuildsRange(BuildFigures, rename="camel", kw_only=True):
    """The builds that ended in a range."""

    from_: Time = msgspec.field(name="from")
    to: Annotated[Time, msgspec.Meta(description="The end, which is not in the range.")]


class AgentBucket(Figures, rename="camel", kw_only=True):
    """What was done from ``start`` to before ``end``."""

    start: Time
    end: Time


class BuildBucket(BuildFigures, rename="camel", kw_only=True):
    """The builds that ended from ``start`` to before ``end``."""

    start: Time
    end: Time


class AgentSeries(_Ranged, rename="camel", kw_only=True):
    """The buckets of a range, oldest first; without a name those of every name together."""

    agent_name: str | None
    bucket: str
    zone: str
    percentile_error: _Error
    items: list[AgentBucket]


class BuildSeries(_Ranged, kw_only=True):
    """The buckets of a range, oldest first."""

    bucket: str
    zone: str
    items: list[BuildBucket]
