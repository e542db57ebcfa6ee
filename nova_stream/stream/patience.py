"""What a worker needs before it can begin is waited for, with a word about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nova_stream.errors import KafkaUnavailableError
from nova_stream.storage.faults import is_away, name_of
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

T = TypeVar("T")

_RETRY_S = 1.0


async def patiently(what: str, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until it answers, with one line when the waiting begins and one when it ends; raises
    what is no outage.
    """
    waiting = False
    while True:
        try:
            answer = await ask()
        except Exception as error:
            if not (isinstance(error, KafkaUnavailableError) or is_away(error)):
                raise
            if not waiting:
                _log.error(f"waiting for {what}", error=str(error) or name_of(error))
                waiting = True
            await asyncio.sleep(_RETRY_S)
        else:
            if waiting:
                _log.info(f"{what} answers")
            return answer
