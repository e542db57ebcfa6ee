"""How the stream is doing."""

from __future__ import annotations

from fastapi import APIRouter, Response

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import FIGURES, within
from nova_stream.api.openapi.responses import answer, answers
from nova_stream.api.state import PREFIX, Services

router = APIRouter(
    prefix=PREFIX,
    tags=["operation"],
    dependencies=[needs("stats", confirm="known"), within(FIGURES)],
)


@router.get("/stream/status", responses=answers("StreamStatus", "Its state."))
async def stream_status(services: Services) -> Response:
    """Lag, throughput, freshness and the last audits. What Kafka or Postgres cannot tell at the
    moment is null; it answers within two seconds while Kafka is away.
    """
    return answer(await services.stream.look())
