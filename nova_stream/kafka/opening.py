"""Opening a client of aiokafka so that nothing stays open when whoever wants it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

#: Seconds for an opening that nobody waits for any more.
_LIMIT_S = 1.0


async def opened(opening: Coroutine[Any, Any, None]) -> None:
    """Await a client's ``bootstrap`` or ``start``.

    Cancelled, it gives the opening a second to end before it passes the cancellation on: aiokafka
    leaves the connection open whose first question is cut off, where ``close`` cannot find it.
    """
    task = asyncio.create_task(opening)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_LIMIT_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
