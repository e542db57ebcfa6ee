"""All jobs of the platform, in the contract's order: the only list of them.

The scheduler, the command line, the API with its OpenAPI document, the alerts, ``healthCheck`` and
the dashboard go by it. A new job is a file here, a row below, and its name in ``settings.JOBS``,
which makes its two settings.
"""

from __future__ import annotations

from nova_stream.jobs import (
    check_stalled_builds,
    cleanup_old_activity,
    compact_old_executions,
    compute_agent_stats,
    health_check,
    mark_inactive_users,
    refresh_build_stats,
    summarize_engagement,
)
from nova_stream.jobs.engine.job import Job, JobContext, MissedSlots, Policy


def job_names() -> list[str]:
    """The names of all jobs."""
    return [job.name for job in JOBS]


async def check_health(context: JobContext) -> health_check.Result:
    """``healthCheck``, which looks at all of these jobs."""
    return await health_check.run_once(context, job_names())


JOBS: tuple[Job, ...] = (
    Job(
        name="cleanupOldActivity",
        schedule="0 * * * *",
        description="archives and deletes activities older than 7 days",
        policy=Policy(timeout=1800),
        run_once=cleanup_old_activity.run_once,
        undo=cleanup_old_activity.undo,
    ),
    Job(
        name=compute_agent_stats.NAME,
        schedule="*/5 * * * *",
        description="recounts the agents' figures, repairs what differs, confirms the cache",
        policy=Policy(timeout=240),
        run_once=compute_agent_stats.run_once,
    ),
    Job(
        name="checkStalledBuilds",
        schedule="*/10 * * * *",
        description="fails running builds without activity for 30 minutes",
        policy=Policy(timeout=300, missed=MissedSlots.SKIP),
        run_once=check_stalled_builds.run_once,
    ),
    Job(
        name="compactOldExecutions",
        schedule="0 0 * * *",
        description="moves documents of executions older than 30 days to the archive",
        policy=Policy(timeout=6 * 3600, first_pause=30),
        run_once=compact_old_executions.run_once,
    ),
    Job(
        name="markInactiveUsers",
        schedule="0 1 * * *",
        description="lists users inactive for 90 days, tells who turned inactive or active again",
        policy=Policy(timeout=1800, first_pause=10),
        run_once=mark_inactive_users.run_once,
    ),
    Job(
        name=refresh_build_stats.NAME,
        schedule="0 * * * *",
        description="recounts the builds' figures, repairs what differs, keeps their history",
        policy=Policy(timeout=600),
        run_once=refresh_build_stats.run_once,
    ),
    Job(
        name="summarizeEngagement",
        schedule="0 2 * * *",
        description="counts active users by day, week and month, their retention and churn",
        policy=Policy(timeout=1800, first_pause=10),
        run_once=summarize_engagement.run_once,
        undo=summarize_engagement.undo,
    ),
    Job(
        name=health_check.NAME,
        schedule="*/30 * * * *",
        description="checks the database, table sizes, lag, dead letters, jobs and archive",
        policy=Policy(timeout=120, missed=MissedSlots.SKIP),
        run_once=check_health,
        without_ledger=True,
    ),
)
