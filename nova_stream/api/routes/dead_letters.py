"""Records that could not be applied: looking at them, publishing them again, setting them aside."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import LINES, MB, Budget, within
from nova_stream.api.budget.request_body import off_loop
from nova_stream.api.openapi import links
from nova_stream.api.openapi.responses import answer, answers
from nova_stream.api.paging import AskedLines, text
from nova_stream.api.parameters import NO_NUL
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import PREFIX, ApiServices, Services
from nova_stream.republish import republish
from nova_stream.storage.dead_letters import read as read_dead_letters
from nova_stream.storage.dead_letters.read import LetterState
from nova_stream.storage.dead_letters.store import open_store

router = APIRouter(
    prefix=PREFIX, tags=["dead letters"], dependencies=[needs("admin"), within(LINES)]
)

#: A record with its bytes, in two forms.
_LETTER = within(Budget(answer=32 * MB, seconds=60, memory=64 * MB))
_Id = Annotated[int, Path(alias="id", ge=1, le=2**63 - 1, examples=[17])]
_Word = Query(pattern=NO_NUL)


class _Letters(AskedLines):
    name = "dead letters"


@router.get(
    "/dead-letters", responses=answers("DeadLetterList", "A page.", links=links.DEAD_LETTERS)
)
async def dead_letters(
    services: Services,
    asked: Annotated[_Letters, Depends()],
    topic: Annotated[str | None, _Word] = None,
    reason: Annotated[str | None, _Word] = None,
    state: Annotated[LetterState | None, Query(description="Only those in this state.")] = None,
    q: Annotated[str | None, text("Only those with this text in key or detail.")] = None,
) -> Response:
    """Dead letters without their bytes, newest first. `from` and `to` are of when they failed."""
    async with services.database.connection() as connection:
        found = await read_dead_letters.dead_letters(
            connection, *asked.asked, topic=topic, reason=reason, state=state, q=q
        )
    return answer(asked.page(found))


@router.get(
    "/dead-letters/{id}",
    responses=answers("WholeDeadLetter", "The letter.", 404),
    dependencies=[_LETTER],
)
async def dead_letter(services: Services, id_: _Id) -> Response:
    """A dead letter with the record's bytes."""
    return await _letter(services, id_)


@router.post(
    "/dead-letters/{id}/retry",
    responses=answers("WholeDeadLetter", "The letter.", 404),
    dependencies=[_LETTER],
)
async def retry(services: Services, id_: _Id) -> Response:
    """Publish the original record again, with its original version, so that it can never overwrite
    something newer. What fails again becomes a new dead letter.
    """
    await _require(services, id_)
    async with open_store(services.settings) as store:
        await republish(services.settings, store, [id_])
    return await _letter(services, id_)


@router.post(
    "/dead-letters/{id}/discard",
    responses=answers("WholeDeadLetter", "The letter.", 404),
    dependencies=[_LETTER],
)
async def discard(services: Services, id_: _Id) -> Response:
    """Set a dead letter aside; its bytes are kept."""
    await _require(services, id_)
    async with open_store(services.settings) as store:
        await store.discard([id_])
    return await _letter(services, id_)


async def _require(services: ApiServices, id_: int) -> None:
    async with services.database.connection() as connection:
        if not await read_dead_letters.exists(connection, id_):
            raise _unknown()


async def _letter(services: ApiServices, id_: int) -> Response:
    async with services.database.connection() as connection:
        found = await read_dead_letters.dead_letter(connection, id_)
    if found is None:
        raise _unknown()
    size = len(found["key"] or b"") + len(found["value"] or b"")
    return await off_loop(size, lambda: answer(read_dead_letters.whole(found)))


def _unknown() -> ProblemError:
    return ProblemError(404, "unknown-dead-letter", "No dead letter has this number.")
