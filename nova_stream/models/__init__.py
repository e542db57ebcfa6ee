"""The tables as SQLAlchemy models, to read caches and rows with; ``docs/models.md`` has examples.

What this module names is stable: models and columns are added, not renamed. What nova-stream keeps
for itself alone has no model. The migrations make the tables, and ``make check`` compares the
models with them. Needs the extra ``models``.
"""

from __future__ import annotations

from nova_stream.extras import missing

try:
    from nova_stream.models.base import SNAPSHOT, Base
    from nova_stream.models.entities import Activity, Agent, Build, Execution, Task, User
    from nova_stream.models.figures import (
        AgentStats,
        AgentStatsHourly,
        AgentStatsPartial,
        AgentStatsRecount,
        BuildStats,
        BuildStatsHistory,
        BuildStatsHourly,
        BuildStatsPartial,
        BuildStatsRecount,
        EngagementChurn,
        EngagementDay,
        EngagementRetention,
        FinishedBuild,
        FinishedTask,
        TimedExecution,
        UserActivityDay,
    )
    from nova_stream.models.operation import (
        Alert,
        DeadLetter,
        InactiveUser,
        JobRun,
        LateJob,
        StreamHistory,
        StreamPosition,
    )
except ModuleNotFoundError as error:
    raise missing(error) from None

__all__ = [
    "SNAPSHOT",
    "Activity",
    "Agent",
    "AgentStats",
    "AgentStatsHourly",
    "AgentStatsPartial",
    "AgentStatsRecount",
    "Alert",
    "Base",
    "Build",
    "BuildStats",
    "BuildStatsHistory",
    "BuildStatsHourly",
    "BuildStatsPartial",
    "BuildStatsRecount",
    "DeadLetter",
    "EngagementChurn",
    "EngagementDay",
    "EngagementRetention",
    "Execution",
    "FinishedBuild",
    "FinishedTask",
    "InactiveUser",
    "JobRun",
    "LateJob",
    "StreamHistory",
    "StreamPosition",
    "Task",
    "TimedExecution",
    "User",
    "UserActivityDay",
]
