"""The runs of all jobs together: one after another, and what each job did."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import LINES, ROW, within
from nova_stream.api.openapi import links
from nova_stream.api.openapi.responses import Items, answer, answers
from nova_stream.api.paging import AskedLines, Since, Until, open_range
from nova_stream.api.parameters import NO_NUL, several
from nova_stream.api.run_filters import RunFilters
from nova_stream.api.state import PREFIX, Services
from nova_stream.clock import system_clock
from nova_stream.events.times import parse_iso
from nova_stream.jobs import registry
from nova_stream.jobs.alerting.alerts import LOOKED_BACK
from nova_stream.storage.jobs import read as read_jobs
from nova_stream.storage.jobs.rows import Outcome
from nova_stream.storage.jobs.summary import Watched, job_summaries
from nova_stream.storage.lists.statements import OpenRange

router = APIRouter(prefix=PREFIX, tags=["jobs"], dependencies=[needs("stats")])

_OUTCOME, _OUTCOMES = several(Outcome, "Only runs with this stored outcome.")


class _Runs(AskedLines):
    name = "all runs"
    timed = True


@router.get(
    "/runs",
    responses=answers("RunList", "A page.", links=links.RUNS),
    dependencies=[within(LINES)],
)
async def all_runs(
    services: Services,
    asked: Annotated[_Runs, Depends()],
    only: Annotated[RunFilters, Depends()],
    job: Annotated[
        str | None, Query(pattern=NO_NUL, description="Only runs of the job of this name.")
    ] = None,
    outcome: Annotated[str | None, _OUTCOME, _OUTCOMES] = None,
) -> Response:
    """The runs of all jobs and the slots that nobody ran, newest first. `from` and `to` are of the
    time that they were due.
    """
    async with services.database.connection() as connection:
        found = await read_jobs.runs(
            connection, job, *asked.asked, how=only.how, ended=only.ended, outcome=outcome
        )
    return answer(asked.page(found))


@router.get(
    "/runs/summary",
    responses=answers("JobSummaryList", "All jobs."),
    dependencies=[within(ROW)],
)
async def runs_summary(services: Services, start: Since = None, end: Until = None) -> Response:
    """What each job did: how its runs were started and ended, and the figures of their results.
    `from` and `to` are of the time that they were due.
    """
    span = open_range(start, end)
    watched = _watched(span, system_clock())
    async with services.database.connection() as connection:
        found = await job_summaries(connection, registry.job_names(), span, watched)
    return answer(Items(found))


def _watched(span: OpenRange, now: datetime) -> Watched:
    earliest = now - LOOKED_BACK
    since = earliest if span.start is None else max(earliest, parse_iso(span.start, "from"))
    until = now if span.end is None else min(now, parse_iso(span.end, "to"))
    return Watched(since, until)
