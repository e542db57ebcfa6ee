"""Columns under the names that databases make of names that nobody has quoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.change import Entity, VersionKind
from nova_stream.events.decode import Decoder
from nova_stream.events.documents import RULES, snake_case

from .helpers import DOCUMENTS, NOON_MS, Record, doc_of, dumps, envelope, read, rejected

SPELLINGS: dict[str, Callable[[str], str]] = {
    "folded by Postgres": str.lower,
    "folded by Oracle": str.upper,
    "snake_case, folded by Oracle": lambda name: snake_case(name).upper(),
    "of C#": lambda name: name[:1].upper() + name[1:],
}
ENTITIES = st.sampled_from(list(Entity))


def spelled(document: dict[str, Any], spelling: Callable[[str], str]) -> dict[str, Any]:
    return {spelling(name): value for name, value in document.items()}


def flattened(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "__op": "u", "__source_seq": 7, "__source_ts_ms": NOON_MS}


@pytest.mark.parametrize("form", [envelope, flattened])
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("entity", Entity)
def test_a_document_is_the_same_whatever_case_its_names_have(
    entity: Entity, spelling: Callable[[str], str], form: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    document = DOCUMENTS[entity]
    usual = read(entity, form(document))
    other = read(entity, form(spelled(document, spelling)))
    assert (other.id, other.values, doc_of(other)) == (usual.id, usual.values, doc_of(usual))


@given(
    ENTITIES.flatmap(lambda e: st.tuples(st.just(e), st.sets(st.sampled_from(sorted(RULES[e])))))
)
def test_no_figure_depends_on_the_case_of_single_names(
    given_names: tuple[Entity, set[str]],
) -> None:
    """Some of the names folded, as where some columns were quoted."""
    entity, names = given_names
    document = {n.lower() if n in names else n: v for n, v in DOCUMENTS[entity].items()}
    usual = read(entity, envelope(DOCUMENTS[entity]))
    other = read(entity, envelope(document))
    assert (other.id, other.values) == (usual.id, usual.values)


@pytest.mark.parametrize("name", ["id", "ID", "Id"])
@pytest.mark.parametrize("part", ["before", "key"])
def test_a_deletion_finds_its_id_in_any_case(name: str, part: str) -> None:
    value = envelope(None, "d")
    value["before"] = {name: "t-1"} if part == "before" else None
    key = dumps({name: "t-1"}) if part == "key" else None
    change = read(Entity.TASKS, value, key=key)
    assert (change.id, change.deleted) == ("t-1", True)


@pytest.mark.parametrize("prefix", ["__", "cdc_"])
@pytest.mark.parametrize("spelling", [str, str.upper, str.title])
def test_what_a_transform_adds_counts_in_any_case(
    spelling: Callable[[str], str], prefix: str
) -> None:
    added = {f"{prefix}op": "u", f"{prefix}lsn": 9, f"{prefix}source_ts_ms": NOON_MS}
    row = {**DOCUMENTS[Entity.TASKS], **added}
    decoder = Decoder(Entity.TASKS, prefix=prefix)
    kept = decoder.decode(Record(dumps(spelled(row, spelling))), 0)
    gone = decoder.decode(Record(dumps(spelled({**row, "__deleted": "true"}, spelling))), 0)
    assert kept is not None and gone is not None
    assert (kept.deleted, gone.deleted) == (False, True)
    for change in (kept, gone):
        assert (change.id, change.kind, change.number) == ("t-1", VersionKind.LSN, 9)
        assert change.changed_ms == NOON_MS
    assert doc_of(kept) == doc_of(read(Entity.TASKS, envelope(DOCUMENTS[Entity.TASKS])))


def test_a_name_in_another_case_is_the_sources_own_where_all_fields_have_theirs() -> None:
    document = DOCUMENTS[Entity.EXECUTIONS] | {"Error": "of its own"}
    change = read(Entity.EXECUTIONS, envelope(document))
    assert doc_of(change)["Error"] == "of its own"


def test_a_field_in_its_own_name_counts_over_others() -> None:
    document = {**DOCUMENTS[Entity.TASKS], "AGENT": "ZEUS", "buildId": None}
    change = read(Entity.TASKS, envelope(document))
    assert change.values[:2] == (None, "ATLAS")
    assert doc_of(change)["AGENT"] == "ZEUS"


def test_two_names_that_may_be_one_field_are_refused() -> None:
    document = {"id": "t", "status": "done", "AGENT": "ZEUS", "Agent": "MARS"}
    error = rejected(lambda: read(Entity.TASKS, envelope(document)))
    assert error.reason == "wrong_shape"
    assert "AGENT" in str(error) and "Agent" in str(error) and "may be agent" in str(error)
