"""Who was active, who stayed and who left."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import ENGAGEMENT, within
from nova_stream.api.openapi.responses import NOT_MODIFIED, answers
from nova_stream.api.parameters import bad_parameter, time_of
from nova_stream.api.state import PREFIX, Services
from nova_stream.clock import system_clock
from nova_stream.storage.stats import engagement as stored

router = APIRouter(
    prefix=PREFIX, tags=["engagement"], dependencies=[needs("stats"), within(ENGAGEMENT)]
)

_USUAL = timedelta(days=90)
#: As many days have at most as many days, weeks and months as the budget has rows.
_LONGEST = timedelta(days=400)


@router.get("/engagement", responses=answers("Engagement", "As of the last run.") | NOT_MODIFIED)
async def engagement(
    request: Request,
    services: Services,
    from_: Annotated[
        str | None,
        Query(alias="from", description="A day or time (UTC); without it 90 days before `to`."),
    ] = None,
    to: Annotated[
        str | None,
        Query(description="A day or time (UTC) that is out; without it the day that is not over."),
    ] = None,
) -> Response:
    """Active users by day, the retention of weekly cohorts and monthly churn, for the days, weeks
    and months that begin in a range of at most 400 days. They are as the last run of
    summarizeEngagement found them; a day, week or month that is not over has no figures.
    """
    end = system_clock().date() if to is None else _day(to, "to")
    start = max(end, date.min + _USUAL) - _USUAL if from_ is None else _day(from_, "from")
    if not timedelta() <= end - start <= _LONGEST:
        raise bad_parameter("from", f"must lie before to, by {_LONGEST.days} days at most")
    return (await services.reads.get(stored.engagement, start, end)).answer(request)


def _day(text: str, name: str) -> date:
    """The first day that begins at this time or later; raises ProblemError 422."""
    instant = time_of(name, text)
    begun = instant.date()
    if instant == datetime.combine(begun, time(), UTC):
        return begun
    if begun == date.max:
        raise bad_parameter(name, "no day begins at this time or later")
    return begun + timedelta(days=1)
