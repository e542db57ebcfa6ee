"""Documents of executions that lie in the archive."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

import msgspec

from nova_stream.errors import ArchiveError, MissingExtraError, UsageError
from nova_stream.events.json_text import encode_json
from nova_stream.settings import Settings
from nova_stream.storage.lists.rows import ExecutionStatus, WholeExecution
from nova_stream.telemetry import get_logger

#: Seconds for one, those included in which others have their turn.
_LIMIT_S = 30.0
_TOO_LONG = "the archive does not answer in time; try again"
_AWAY = "the archive cannot be read; the API's log says why"

_log = get_logger(__name__)


async def with_archived(
    execution: WholeExecution, settings: Settings, turn: asyncio.Semaphore
) -> WholeExecution:
    """``execution`` with what the archive has of it, else with a note that says why not; by turns,
    since an object is read as a whole, and may be large.
    """
    try:
        async with asyncio.timeout(_LIMIT_S), turn:
            # Not before somebody asks: it takes half a second, and memory.
            restore = await asyncio.to_thread(import_module, "nova_stream.jobs.archive.restore")
            shown = await restore.show(settings, execution.id)
    except TimeoutError:
        return msgspec.structs.replace(execution, note=_TOO_LONG)
    except UsageError as error:
        return msgspec.structs.replace(execution, note=str(error))
    except (ArchiveError, MissingExtraError) as error:
        _log.warning("an archived execution cannot be read", error=str(error))
        return msgspec.structs.replace(execution, note=_AWAY)
    document: dict[str, Any] = shown.document or {}
    if document:
        status: ExecutionStatus = "failed" if document.get("error") else "succeeded"
        execution = msgspec.structs.replace(execution, status=status)
    return msgspec.structs.replace(
        execution,
        prompt=_text(document.get("prompt")),
        response=_text(document.get("response")),
        error=_text(document.get("error")),
        model=_text(document.get("model")),
        gates_passed=document.get("gatesPassed"),
        note=shown.note,
    )


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else encode_json(value).decode()
