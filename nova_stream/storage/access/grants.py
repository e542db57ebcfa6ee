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
_CACHE = Rights(worker=_WRITE, api=_READ, bi=_READ)
_VIEW = Rights(worker=_READ, api=_READ)

RELATIONS = {
    "agent_stats_cache": _CACHE,
    "build_stats_cache": _CACHE,
    "agents": _ROWS,
    "builds": _ROWS,
    "tasks": _ROWS,
    "executions": _ROWS,
    # What a cleanup deleted is put back by the API.
    "agent_activity_feed": Rights(
        worker=_WRITE,
        api="SELECT, INSERT, UPDATE (timestamp, version_generation, version, version_minor,"
        " changed_at, deleted_at, src_partition, src_offset, doc)",
    ),
    "user_profiles": _ROWS,
    "agent_stats_partials": _ROWS,
    "build_stats_partials": _ROWS,
    "stream_positions": _ROWS,
    "stream_topics": _ROWS,
    "dead_letters": Rights(worker=_WRITE, api="SELECT, UPDATE (state, attempts)"),
    "source_cursors": _ROWS,
    "source_documents": Rights(worker=_WRITE),
    # A job that is paused or resumed, and a run that is asked for; runs are the workers'.
    "job_settings": Rights(
        worker=_WRITE,
        api="SELECT, INSERT, UPDATE (paused_at, paused_reason, accounted_to)",
    ),
    "job_runs": Rights(worker=_WRITE, api="SELECT, INSERT"),
    "alerts": _ROWS,
    "alert_deliveries": _ROWS,
    "activity_archive": Rights(worker=_WRITE, api="SELECT, UPDATE (restored_at, kept_until)"),
    "inactive_users": _ROWS,
    "inactivity_events": _ROWS,
    "build_stats_history": _ROWS,
    "archive_objects": _ROWS,
    "archive_restores": _ROWS,
    # The doctor tells which tokens end soon; their digests are the API's to know.
    "api_tokens": Rights(
        worker="SELECT (name, expires_at, replaced_at, revoked_at)",
        api="SELECT, UPDATE (last_used_at)",
    ),
    # Commands leave lines as the worker's role, which also deletes old ones: the table's trigger
    # lets nobody delete others. Who reads them is an administrator.
    "audit_trail": Rights(worker="INSERT, DELETE, SELECT (id, until)", api="SELECT, INSERT"),
    "alembic_version": _VIEW,
    "agent_stats_recount": _VIEW,
    "build_stats_recount": _VIEW,
    "late_jobs": _VIEW,
}

FUNCTIONS = ("job_slots", "missing_job_slots", "audit_trail_only_grows")

#: What tables of a later version allow until that version's own list says more exactly.
DEFAULTS = Rights(worker=_WRITE, api=_READ)
