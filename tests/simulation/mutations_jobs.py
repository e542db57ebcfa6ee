"""Faults put into the scheduler and its ledger."""

from __future__ import annotations

from asyncio import Event
from typing import Any

from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.jobs.engine.runner import Runner
from nova_stream.storage.jobs.ledger import HeldRun, JobStore, Orphan
from tests.simulation.mutation import Mutation


def _lease_forgotten(_: Any) -> Any:
    async def hold(_self: Runner, _claim: Any) -> None:
        await Event().wait()

    return hold


def _overlaps(_: Any) -> Any:
    async def is_running(_self: JobStore, _job: str) -> bool:
        return False

    return is_running


def _not_told(_: Any) -> Any:
    async def account(_self: Ledger, store: Any, state: Any, _now: Any, until: Any) -> Any:
        await store.accounted(state.job, until)
        return {}

    return account


def _end_not_stored(_: Any) -> Any:
    async def finish(_self: JobStore, _held: HeldRun, _ended: Any) -> bool:
        return True

    return finish


def _everything_is_due(_: Any) -> Any:
    """Whatever a worker finds open when it looks it takes over, also what another is doing."""

    async def orphans(self: JobStore, job: str) -> list[Orphan]:
        connection: Any = self._connection
        rows = connection._session.database.tables["job_runs"]
        names = Orphan.__struct_fields__
        return [
            Orphan(**{name: row["at" if name == "as_of" else name] for name in names})
            for row in rows.values()
            if row["job"] == job and row["outcome"] is None
        ]

    return orphans


def _never(_: Any) -> Any:
    async def nothing(*_given: Any) -> None: ...

    return nothing


MUTATIONS = [
    mutation._replace(kind="jobs")
    for mutation in (
        Mutation("a slot that was run runs again", 200, JobStore, "finish", _end_not_stored),
        Mutation("a run is taken from its holder", 200, JobStore, "orphans", _everything_is_due),
        Mutation("a lease is not extended", 200, Runner, "_hold", _lease_forgotten),
        Mutation("a slot does not wait for another", 200, JobStore, "is_running", _overlaps),
        Mutation("missed slots are not told", 20, Ledger, "_account", _not_told),
        Mutation("former sessions go on", 500, Ledger, "_end_former_sessions", _never),
    )
]
