"""The background jobs: how they are doing, what they did, and running them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from nova_stream.api.auth.access import access_of
from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import ACTION, LINES, ROW, within
from nova_stream.api.budget.request_body import bad_option, read_options
from nova_stream.api.openapi import examples_operations as examples
from nova_stream.api.openapi import links
from nova_stream.api.openapi.responses import Items, answer, answers
from nova_stream.api.paging import AskedLines
from nova_stream.api.problems import ProblemError
from nova_stream.api.run_filters import RunFilters
from nova_stream.api.state import PREFIX, ApiServices, Services
from nova_stream.clock import system_clock
from nova_stream.errors import UsageError
from nova_stream.events.times import parse_iso
from nova_stream.jobs import registry
from nova_stream.jobs.engine.job import Job, check_believed
from nova_stream.jobs.engine.ledger import LONGEST_REASON, sayable
from nova_stream.jobs.overview import job_overviews
from nova_stream.storage.jobs import read as read_jobs
from nova_stream.storage.jobs.rows import JobOverview, Outcome, Restored, Run

router = APIRouter(prefix=PREFIX, tags=["jobs"], dependencies=[within(ROW)])

_Name = Annotated[str, Path(examples=["computeAgentStats"])]
_RunId = Annotated[int, Path(alias="runId", ge=1, le=2**63 - 1, examples=[4711])]


def _body(properties: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": False, "content": content}}


_RUN_BODY = _body(
    {
        "at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "The time that the job takes as now; by default, when it starts.",
        },
        "dryRun": {"type": "boolean", "description": "Run all of it, then roll it back."},
    },
    examples.RUN_REQUEST,
)
_PAUSE_BODY = _body(
    {
        "reason": {
            "type": ["string", "null"],
            "maxLength": LONGEST_REASON,
            "description": "The reason that others see.",
        }
    },
    examples.PAUSE_REQUEST,
)


class _Runs(AskedLines):
    name = "runs"
    timed = True


@router.get(
    "/jobs",
    responses=answers("JobList", "All jobs.", links=links.JOBS),
    dependencies=[needs("stats")],
)
async def jobs(services: Services) -> Response:
    """All jobs: schedule, next and last run, and how they have been doing."""
    return answer(Items(await _overviews(services)))


@router.get(
    "/jobs/{name}/runs",
    responses=answers("RunList", "A page.", 404, links=links.RUNS),
    dependencies=[needs("stats"), within(LINES)],
)
async def runs(
    services: Services,
    name: _Name,
    asked: Annotated[_Runs, Depends()],
    only: Annotated[RunFilters, Depends()],
    outcome: Annotated[
        Outcome | None, Query(description="Only runs with this stored outcome.")
    ] = None,
) -> Response:
    """A job's runs and the slots that nobody ran, newest first. `from` and `to` are of the time
    that they were due.
    """
    _known(name)
    async with services.database.connection() as connection:
        found = await read_jobs.runs(
            connection, name, *asked.asked, how=only.how, ended=only.ended, outcome=outcome
        )
    return answer(asked.page(found))


@router.get(
    "/jobs/{name}/runs/{runId}",
    responses=answers("Run", "The run.", 404),
    dependencies=[needs("stats")],
)
async def run(services: Services, name: _Name, run_id: _RunId) -> Response:
    """One run of a job."""
    _known(name)
    return answer(await _run(services, name, run_id))


@router.post(
    "/jobs/{name}/run",
    status_code=202,
    openapi_extra=_RUN_BODY,
    responses=answers("Run", "It is asked for.", 404, 413, status=202, links=links.REQUESTED_RUN),
    dependencies=[needs("admin", confirm="never"), within(ACTION)],
)
async def request_run(request: Request, services: Services, name: _Name) -> Response:
    """Have a worker run the job now, also while it is paused; no slot is used up. `Location` is
    where the run can be followed.
    """
    _known(name)
    given = await read_options(request, "at", "dryRun")
    dry_run = given.get("dryRun", False)
    if not isinstance(dry_run, bool):
        raise bad_option("dryRun must be true or false")
    if dry_run:
        access_of(request.scope).about = f"{name}, dry run"
    number = await services.ledger.request(name, as_of=_instant(given.get("at")), dry_run=dry_run)
    response = answer(await _run(services, name, number), 202)
    response.headers["Location"] = f"{PREFIX}/jobs/{name}/runs/{number}"
    return response


@router.post(
    "/jobs/{name}/pause",
    openapi_extra=_PAUSE_BODY,
    responses=answers("JobOverview", "The job, paused.", 404, 413),
    dependencies=[needs("admin", confirm="never"), within(ACTION)],
)
async def pause(request: Request, services: Services, name: _Name) -> Response:
    """Run no more slots of the job until it is resumed; runs under way go on."""
    _known(name)
    reason = (await read_options(request, "reason")).get("reason")
    if reason is not None and not (isinstance(reason, str) and sayable(reason)):
        raise bad_option(f"reason must be a text of at most {LONGEST_REASON} letters")
    await services.ledger.pause(name, reason)
    return answer(await _overview(services, name))


@router.post(
    "/jobs/{name}/resume",
    responses=answers("JobOverview", "The job.", 404),
    dependencies=[needs("admin", confirm="never")],
)
async def resume(services: Services, name: _Name) -> Response:
    """Run a paused job's slots again, from the next one on."""
    _known(name)
    await services.ledger.resume(name)
    return answer(await _overview(services, name))


@router.post(
    "/jobs/{name}/runs/{runId}/undo",
    responses=answers("Restored", "They are back.", 404, 409),
    dependencies=[needs("admin", confirm="never")],
)
async def undo(services: Services, name: _Name, run_id: _RunId) -> Response:
    """Put back what a run took away, if its job can; later runs leave it alone for a while."""
    job = _known(name)
    await _run(services, name, run_id)
    if job.undo is None:
        undoable = ", ".join(job.name for job in registry.JOBS if job.undo is not None)
        raise ProblemError(409, "not-undoable", f"Only runs of {undoable} can be undone.")
    try:
        restored = await job.undo(services.settings, run_id)
    except UsageError as error:
        raise ProblemError(409, "nothing-to-undo", f"{error}.") from None
    return answer(Restored(restored))


def _known(name: str) -> Job:
    for job in registry.JOBS:
        if job.name == name:
            return job
    names = ", ".join(registry.job_names())
    raise ProblemError(404, "unknown-job", f"No job has this name. The jobs are {names}.")


async def _overviews(services: ApiServices) -> list[JobOverview]:
    async with services.database.connection() as connection:
        return await job_overviews(services.settings, registry.JOBS, connection, system_clock())


async def _overview(services: ApiServices, name: str) -> JobOverview:
    return next(found for found in await _overviews(services) if found.name == name)


async def _run(services: ApiServices, name: str, run_id: int) -> Run:
    async with services.database.connection() as connection:
        found = await read_jobs.run(connection, name, run_id)
    if found is None:
        raise ProblemError(404, "unknown-run", f"{name} has no run with this number.")
    return found


def _instant(given: Any) -> datetime | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise bad_option("at must be a time as text")
    at = parse_iso(given, "at")
    try:
        check_believed(at)
    except ValueError as error:
        raise bad_option(f"at: {error}") from None
    return at
