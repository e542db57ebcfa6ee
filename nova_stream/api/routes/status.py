"""How the stream is doing, and what clients have to know of this installation's settings."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import FIGURES, PROBE, SERIES, within
from nova_stream.api.openapi.responses import NOT_MODIFIED, ClientSettings, answer, answers
from nova_stream.api.ranges import Bucket, From, To, Zone, series_of
from nova_stream.api.state import PREFIX, Services
from nova_stream.storage.stats.stream_history import stream_series

router = APIRouter(prefix=PREFIX, tags=["operation"])
_NEEDS = needs("stats", confirm="known")


@router.get(
    "/stream/status",
    responses=answers("StreamStatus", "Its state."),
    dependencies=[_NEEDS, within(FIGURES)],
)
async def stream_status(services: Services) -> Response:
    """Lag, throughput, freshness and the last audits. What Kafka or Postgres cannot tell at the
    moment is null; it answers within two seconds while Kafka is away.
    """
    return answer(await services.stream.look())


@router.get(
    "/stream/history",
    responses=answers("StreamSeries", "Every bucket of the range.") | NOT_MODIFIED,
    dependencies=[_NEEDS, within(SERIES)],
)
async def stream_history(
    request: Request,
    services: Services,
    start: From = None,
    to: To = None,
    bucket: Bucket = "1m",
    zone: Zone = "UTC",
) -> Response:
    """Lag, pace and freshness in each bucket of a range, from what the workers store every ten
    seconds. A bucket in which none ran has 0 seconds, and its figures are null.
    """
    buckets = series_of(start, to, bucket, zone)
    found = await services.reads.get(stream_series, buckets, bucket=bucket, zone=zone)
    return found.answer(request)


@router.get(
    "/settings",
    responses=answers("ClientSettings", "The settings."),
    dependencies=[needs("stats", "documents", confirm="known"), within(PROBE)],
)
async def settings(services: Services) -> Response:
    """The settings that decide what rows mean; as this API has them."""
    return answer(ClientSettings(services.settings.stall_minutes))
