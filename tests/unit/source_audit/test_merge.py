"""Two sides by id: every id that differs is found once, however the rows come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import UsageError
from nova_stream.events.change import Entity
from nova_stream.events.documents import Kind
from nova_stream.source_audit.interface import ComparedField, Digest, SourceTable
from nova_stream.source_audit.merge import Merge

_TABLE = SourceTable(
    Entity.TASKS, "public.tasks", (ComparedField("id", Kind.ID), ComparedField("status", Kind.TEXT))
)
_LOOSE = SourceTable(
    Entity.EXECUTIONS,
    "public.executions",
    (ComparedField("timestamp", Kind.TIME, loose=True), ComparedField("model", Kind.TEXT, True)),
)
_ROWS = st.dictionaries(st.text(max_size=3), st.sampled_from("ab"), max_size=12)


async def _batches(rows: Sequence[Digest], size: int) -> AsyncIterator[Sequence[Digest]]:
    for begin in range(0, len(rows), size):
        await asyncio.sleep(0)
        yield rows[begin : begin + size]


def _side(rows: dict[str, str]) -> list[Digest]:
    return [Digest(id_, rows[id_], rows[id_], ()) for id_ in sorted(rows)]


def _merge(
    table: SourceTable, source: Sequence[Digest], nova: Sequence[Digest], *sizes: int
) -> tuple[list[str], int]:
    async def run() -> tuple[list[str], int]:
        left, right = sizes or (2, 2)
        merge = Merge(table, _batches(source, left), _batches(nova, right))
        found = [m.id async for batch in merge.mismatches() for m in batch]
        return found, merge.compared

    return asyncio.run(run())


@given(_ROWS, _ROWS, st.integers(1, 5), st.integers(1, 5))
def test_what_differs_is_found_once_and_nothing_else(
    source: dict[str, str], nova: dict[str, str], left: int, right: int
) -> None:
    found, compared = _merge(_TABLE, _side(source), _side(nova), left, right)
    ids = source.keys() | nova.keys()
    assert found == sorted(id_ for id_ in ids if source.get(id_) != nova.get(id_))
    assert compared == len(ids)


@pytest.mark.parametrize("ids", [("b", "a"), ("a", "a")])
def test_ids_that_are_not_unique_or_in_order_are_refused(ids: tuple[str, str]) -> None:
    rows = [Digest(id_, "x", "x", ()) for id_ in ids]
    for size in (1, 2):
        with pytest.raises(UsageError, match=r"public\.tasks has the id 'a'"):
            _merge(_TABLE, rows, [], size, size)


def test_an_archived_document_is_compared_by_its_columns_alone() -> None:
    source = [Digest("e", "figures", "document", ("2026-02-20T12:00:00Z", "m"))]
    noon, later = "2026-02-20T12:00:00.000Z", "2026-02-20T12:00:01.000Z"
    assert _merge(_LOOSE, source, [Digest("e", "figures", None, (noon, None))])[0] == []
    assert _merge(_LOOSE, source, [Digest("e", "figures", None, (later, None))])[0] == ["e"]
    assert _merge(_LOOSE, source, [Digest("e", "others", None, (noon, None))])[0] == ["e"]
    assert _merge(_LOOSE, source, [Digest("e", "figures", "document", (noon, None))])[0] == ["e"]
    assert _merge(_LOOSE, source, [Digest("e", "figures", "document", (noon, "m"))])[0] == []
