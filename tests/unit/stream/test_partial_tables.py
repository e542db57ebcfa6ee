"""The tables of partials: always what the flushes left, per partition, never of a life before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.change import Entity
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.stream.partial_tables import WRITE_EVERY, PartialTables

KEY = ("nova.tasks", 2)
Table = dict[tuple[int, str], Any]


def applied(
    partials: dict[str, dict[str, Any]], *, offset: int = 1, complete: bool = False
) -> AppliedChunk:
    return AppliedChunk(next_offset=offset, epoch=7, partials=partials, complete=complete)


@pytest.fixture
def table() -> Table:
    return {}


@pytest.fixture
def tables(table: Table) -> PartialTables:
    return PartialTables({Entity.TASKS: table})


def test_the_next_flush_expects_what_the_last_one_left(tables: PartialTables) -> None:
    tables.stage(KEY, applied({}, offset=5))
    assert tables.expected == {KEY: (5, 7)}
    tables.forget()
    assert tables.expected == {}


def test_complete_partials_replace_those_of_the_partition_only(
    tables: PartialTables, table: Table
) -> None:
    table.update({(2, "gone"): {"n": 1}, (2, "MARS"): {"n": 1}, (1, "gone"): {"n": 1}})
    tables.stage(KEY, applied({"MARS": {"n": 2}}, complete=True))
    tables.write(Entity.TASKS, KEY, 0)
    assert table == {(2, "MARS"): {"n": 2}, (1, "gone"): {"n": 1}}


def test_what_changed_is_added_to_what_is_there(tables: PartialTables, table: Table) -> None:
    table[2, "VENUS"] = {"n": 1}
    tables.stage(KEY, applied({"MARS": {"n": 2}}))
    tables.stage(KEY, applied({"MARS": {"n": 3}}))
    tables.write(Entity.TASKS, KEY, 0)
    assert table == {(2, "VENUS"): {"n": 1}, (2, "MARS"): {"n": 3}}


def test_exact_decimals_are_written_as_text(tables: PartialTables, table: Table) -> None:
    tables.stage(KEY, applied({"MARS": {"sum": Decimal("0.10"), "n": 1}}))
    tables.write(Entity.TASKS, KEY, 0)
    assert table == {(2, "MARS"): {"sum": "0.10", "n": 1}}


def test_a_write_is_due_once_and_then_not_for_a_while(tables: PartialTables) -> None:
    assert not tables.due(KEY, 0)
    tables.stage(KEY, applied({"MARS": {"n": 1}}))
    assert tables.due(KEY, 0)
    tables.write(Entity.TASKS, KEY, 100)
    assert not tables.due(KEY, 1000)
    tables.stage(KEY, applied({"MARS": {"n": 2}}))
    assert not tables.due(KEY, 100 + WRITE_EVERY - 0.1)
    assert tables.due(KEY, 100 + WRITE_EVERY)


def test_an_empty_partition_is_written_too_since_keys_may_have_to_go(
    tables: PartialTables, table: Table
) -> None:
    table[2, "gone"] = {"n": 1}
    tables.stage(KEY, applied({}, complete=True))
    assert tables.due(KEY, 0)
    tables.write(Entity.TASKS, KEY, 0)
    assert table == {}


def test_after_a_rebalance_nothing_staged_is_written(tables: PartialTables) -> None:
    tables.stage(KEY, applied({"MARS": {"n": 1}}))
    tables.forget()
    assert not tables.due(KEY, 0)


def test_entities_without_figures_have_no_table(tables: PartialTables) -> None:
    key = ("nova.users", 0)
    tables.stage(key, applied({}, complete=True))
    tables.write(Entity.USERS, key, 0)
    assert not tables.due(key, 1000)


_figures = st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=3)


@given(st.lists(st.tuples(_figures, st.booleans(), st.booleans()), max_size=12))
def test_written_at_any_moments_the_table_is_what_postgres_has(
    flushes: list[tuple[dict[str, int], bool, bool]],
) -> None:
    """Each flush: what changed, whether it brings all, whether a write follows."""
    table: Table = {}
    tables, postgres = PartialTables({Entity.TASKS: table}), dict[str, dict[str, int]]()
    first = True
    for changed, complete, written in flushes:
        postgres |= {name: {"n": number} for name, number in changed.items()}
        given_ = dict(postgres) if complete or first else {n: postgres[n] for n in changed}
        tables.stage(KEY, applied(given_, complete=complete or first))
        first = False
        if written:
            tables.write(Entity.TASKS, KEY, 0)
            assert table == {(2, name): figures for name, figures in postgres.items()}
