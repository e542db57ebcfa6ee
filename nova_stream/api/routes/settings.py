"""What clients have to know of this installation's settings."""

from __future__ import annotations

from fastapi import APIRouter, Response

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import PROBE, within
from nova_stream.api.openapi.responses import ClientSettings, answer, answers
from nova_stream.api.state import PREFIX, Services

router = APIRouter(prefix=PREFIX, tags=["operation"])


@router.get(
    "/settings",
    responses=answers("ClientSettings", "The settings."),
    dependencies=[needs("stats", "documents", confirm="known"), within(PROBE)],
)
async def settings(services: Services) -> Response:
    """The settings that decide what rows mean; as this API has them."""
    return answer(ClientSettings(services.settings.stall_minutes))
