"""docs/source-types.md says what the table says."""

from __future__ import annotations

from pathlib import Path

from nova_stream.events.column_types import FITTING, TYPES, SourceType
from nova_stream.events.documents import Kind

PAGE = Path(__file__).parents[3] / "docs" / "source-types.md"
SHOWN = (
    Kind.TIME,
    Kind.DURATION,
    Kind.REFERENCE,
    Kind.NUMBER,
    Kind.FLAG,
    Kind.TEXT,
    Kind.LIST,
    Kind.JSON,
)


def row(known: SourceType) -> str:
    marks = ["yes" if known.meaning in FITTING[kind] else "–" for kind in SHOWN]
    cells = [f"`{known.name}`", known.carried_as, known.meaning.value, known.note, *marks]
    return f"| {' | '.join(cells)} |"


def test_the_page_has_a_row_for_every_type_in_the_tables_order() -> None:
    found = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "| `" in line[:4]]
    rows = [line for line in found if line.count("|") == len(SHOWN) + 5]
    assert rows == [row(known) for known in TYPES.values()]


def test_ids_and_references_take_the_same_types() -> None:
    assert FITTING[Kind.ID] == FITTING[Kind.REFERENCE]
    assert FITTING[Kind.JSON] == FITTING[Kind.ANY]
