"""Who may do what in the database: four roles, and what each may do with every table.

``nova_migrate`` owns everything and is what migrations and the tokens' commands run as,
``nova_worker`` is the worker and the commands that look after the stream, ``nova_api`` the API,
``nova_bi`` whoever reads figures. The relations and functions that are named here are all that the
migrations make.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """A role of the server, shared by its databases; its rights are a database's own."""

    MIGRATE = "nova_migrate"
    WORKER = "nova_worker"
    API = "nova_api"
    BI = "nova_bi"


#: Those that own nothing and have what is granted here, nothing else.
SERVICES = (Role.WORKER, Role.API, Role.BI)

_READ = "SELECT"
_WRITE = "SELECT, INSERT, UPDATE, DELETE"


class Rights(NamedTuple):
    """Privileges on one relation as GRANT writes them; empty for none."""

    worker: str
    api: str = ""
    bi: str = ""

    def of(self, role: Role) -> str:
        """The privileges of one of the services' roles."""
        return {Role.WORKER: self.worker, Role.API: self.api, Role.BI: self.bi}[role]


_ROWS = Rights(worker=_WRITE, api=_READ)
#: What only the worker and its commands use.
_OWN = Rights(worker=_WRITE)
#: All that a line says; its number is the sequence's.
_LINE = "INSERT (at, until, requests, token, address, action, object, outcome, refused)"
_CACHE = Rights(worker=_WRITE, api=_READ, bi=_READ)
_VIEW = Rights(worker=_READ, api=_READ)
#: Of rows without their documents.
_FIGURES = Rights(worker=_READ, api=_READ, bi=_READ)

RELATIONS = {
    "agent_stats_cache": _CACHE,
    "build_stats_cache": _CACHE,
    "agents": _ROWS,
    "builds": _ROWS,
    "tasks": _ROWS,
    "executions": _ROWS,
    "agent_activity_feed": _ROWS,
    "user_profiles": _ROWS,
    "agent_stats_partials": _ROWS,
    "build_stats_partials": _ROWS,
    "execution_days": _ROWS,
    "execution_days_until": _ROWS,
    "execution_hours": _ROWS,
    "stream_positions": _ROWS,
    "stream_topics": _ROWS,
    "stream_samples": _ROWS,
    "stream_history": _FIGURES,
    "dead_letters": Rights(worker=_WRITE, api="SELECT, UPDATE (state, attempts)"),
    "source_cursors": _OWN,
    "source_documents": _OWN,
    # A job that is paused (and made known by that) or resumed, with lines for the slots of the
    # pause; and a run that is asked for. What a run did is the workers' to say.
    "job_settings": Rights(
        worker=_WRITE,
        api="SELECT, INSERT (job, schedule, minutes, hours, days, months, weekdays, either_day,"
        " start_offset, late_after, missed, timeout, attempts, active, created_at, expected_from,"
        " accounted_to), UPDATE (paused_at, paused_reason, accounted_to)",
    ),
    "job_runs": Rights(
        worker=_WRITE,
        api="SELECT, INSERT (job, slot, kind, outcome, scheduled_at, ended_at, at, worker,"
        " lease_until)",
    ),
    "alerts": Rights(worker=_WRITE, api="SELECT, UPDATE (acknowledged_at, acknowledged_by)"),
    "alert_deliveries": _OWN,
    # What a cleanup deleted is put back by restore_activities.
    "activity_archive": Rights(worker=_WRITE, api="SELECT (run_id)"),
    # The API counts them.
    "inactive_users": Rights(worker=_WRITE, api="SELECT (id)"),
    "inactivity_events": _OWN,
    "build_stats_history": _ROWS,
    "user_activity_daily": _CACHE,
    "user_activity_cleaned": _OWN,
    # As the archive of activities, by restore_user_activity.
    "user_activity_archive": Rights(worker=_WRITE, api="SELECT (run_id)"),
    "engagement_floors": _OWN,
    "engagement_days": _ROWS,
    "engagement_cohorts": _ROWS,
    "engagement_months": _ROWS,
    "engagement_daily": _FIGURES,
    "engagement_retention": _FIGURES,
    "engagement_churn": _FIGURES,
    # An execution is shown from the object that has it.
    "archive_objects": _ROWS,
    "archive_restores": _OWN,
    # The doctor tells which tokens end soon; their digests are the API's to know.
    "api_tokens": Rights(
        worker="SELECT (name, expires_at, replaced_at, revoked_at)",
        api="SELECT, UPDATE (last_used_at)",
    ),
    # Commands leave lines as the worker's role, which also deletes old ones: the table's trigger
    # lets nobody delete others. Who reads them is an administrator.
    "audit_trail": Rights(worker=f"{_LINE}, DELETE, SELECT (id, until)", api=f"SELECT, {_LINE}"),
    "alembic_version": _VIEW,
    "agent_stats_recount": _VIEW,
    "build_stats_recount": _VIEW,
    "late_jobs": _VIEW,
    "finished_tasks": _FIGURES,
    "finished_builds": _FIGURES,
    "timed_executions": _FIGURES,
    "agent_stats_hourly": _FIGURES,
    "build_stats_hourly": _FIGURES,
}

#: Functions that run with their owner's rights, and who may call them.
DEFINERS = {
    "restore_activities": (Role.WORKER, Role.API),
    "restore_user_activity": (Role.WORKER, Role.API),
}
FUNCTIONS = (
    "job_slots",
    "missing_job_slots",
    "audit_trail_only_grows",
    "older_workers_wait",
    *DEFINERS,
)

#: What tables of a later version allow until that version's own list says more exactly.
DEFAULTS = Rights(worker=_WRITE, api=_READ)
