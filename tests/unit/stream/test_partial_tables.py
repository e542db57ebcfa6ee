"""The tables of partials: always what the flushes left, per partition, never of a life before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.change import Entity
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.figures_sql import NAME_FIGURES
from nova_stream.stream.partial_tables import (
    ROWS_AT_ONCE,
    SECONDS_A_ROW,
    WRITE_EVERY,
    PartialTables,
)

KEY = ("nova.tasks", 2)
Table = dict[tuple[int, str], Any]


class _Counting(dict[tuple[int, str], Any]):
    """A table that counts its writes."""

    writes = 0

    def __setitem__(self, key: tuple[int, str], value: Any) -> None:
        self.writes += 1
        super().__setitem__(key, value)


def applied(
    partials: Mapping[str, Mapping[str, Any]], *, offset: int = 1, complete: bool = False
) -> AppliedChunk:
    return AppliedChunk(next_offset=offset, epoch=7, partials=dict(partials), complete=complete)


def row(number: int) -> dict[str, Any]:
    """A row of partials whose figures are all this number."""
    return dict.fromkeys(NAME_FIGURES, number)


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
    table.update({(2, "gone"): row(1), (2, "MARS"): row(1), (1, "gone"): row(1)})
    tables.stage(KEY, applied({"MARS": row(2)}, complete=True))
    tables.write(Entity.TASKS, KEY, 0)
    assert table == {(2, "MARS"): row(2), (1, "gone"): row(1)}


def test_what_changed_is_added_to_what_is_there(tables: PartialTables, table: Table) -> None:
    table[2, "VENUS"] = row(1)
    tables.stage(KEY, applied({"MARS": row(2)}))
    tables.stage(KEY, applied({"MARS": row(3)}))
    tables.write(Entity.TASKS, KEY, 0)
    assert table == {(2, "VENUS"): row(1), (2, "MARS"): row(3)}


def test_what_a_row_says_besides_its_figures_is_not_written(
    tables: PartialTables, table: Table
) -> None:
    besides = {"partition": 2, "agent": "MARS", "added_total_tasks": 1, "touched": None}
    tables.stage(KEY, applied({"MARS": row(1) | besides}))
    tables.write(Entity.TASKS, KEY, 0)
    assert table == {(2, "MARS"): row(1)}


def test_a_write_is_due_once_and_then_not_for_a_while(tables: PartialTables) -> None:
    assert not tables.due(KEY, 0)
    tables.stage(KEY, applied({"MARS": row(1)}))
    assert tables.due(KEY, 0)
    tables.write(Entity.TASKS, KEY, 100)
    assert not tables.due(KEY, 1000)
    tables.stage(KEY, applied({"MARS": row(2)}))
    assert not tables.due(KEY, 100 + WRITE_EVERY - 0.1)
    assert tables.due(KEY, 100 + WRITE_EVERY)


def test_many_names_are_written_some_at_a_time_until_all_are_there(
    tables: PartialTables, table: Table
) -> None:
    names = [f"n{number}" for number in range(2 * ROWS_AT_ONCE + 1)]
    table[2, "gone"] = row(1)
    tables.stage(KEY, applied({name: row(1) for name in names}, complete=True))
    now, sizes = 0.0, []
    while tables.due(KEY, now):
        tables.write(Entity.TASKS, KEY, now)
        sizes.append(len(table))
        assert not tables.due(KEY, now), "others have their turns first"
        now += ROWS_AT_ONCE * SECONDS_A_ROW
    assert sizes == [ROWS_AT_ONCE, 2 * ROWS_AT_ONCE, len(names)]
    assert table == {(2, name): row(1) for name in names}


def test_what_a_later_flush_brings_is_what_is_written_of_a_name_that_waits(
    tables: PartialTables, table: Table
) -> None:
    names = [f"n{number}" for number in range(2 * ROWS_AT_ONCE)]
    tables.stage(KEY, applied({name: row(1) for name in names}))
    tables.write(Entity.TASKS, KEY, 0)
    tables.stage(KEY, applied({names[0]: row(2), names[-1]: row(2)}))
    tables.write(Entity.TASKS, KEY, 1)
    assert table[2, names[-1]] == row(2)
    tables.write(Entity.TASKS, KEY, 2)
    assert table[2, names[0]] == row(2)


def test_all_partitions_together_write_no_more_rows_than_they_may() -> None:
    counting = _Counting()
    tables = PartialTables({Entity.TASKS: counting})
    keys = [("nova.tasks", partition) for partition in range(64)]
    flush = applied({f"n{name}": row(1) for name in range(200)})
    step, steps = 0.2, 300
    for number in range(steps):
        for key in keys:
            tables.stage(key, flush)
            if tables.due(key, number * step):
                tables.write(Entity.TASKS, key, number * step)
    assert len(counting) == 64 * 200, "each of them gets its turn"
    assert counting.writes <= 64 * ROWS_AT_ONCE + steps * step / SECONDS_A_ROW


def test_an_empty_partition_is_written_too_since_keys_may_have_to_go(
    tables: PartialTables, table: Table
) -> None:
    table[2, "gone"] = row(1)
    tables.stage(KEY, applied({}, complete=True))
    assert tables.due(KEY, 0)
    tables.write(Entity.TASKS, KEY, 0)
    assert table == {}


def test_after_a_rebalance_nothing_staged_is_written(tables: PartialTables) -> None:
    tables.stage(KEY, applied({"MARS": row(1)}))
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
    tables, postgres = PartialTables({Entity.TASKS: table}), dict[str, dict[str, Any]]()
    first = True
    for changed, complete, written in flushes:
        postgres |= {name: row(number) for name, number in changed.items()}
        given_ = dict(postgres) if complete or first else {n: postgres[n] for n in changed}
        tables.stage(KEY, applied(given_, complete=complete or first))
        first = False
        if written:
            tables.write(Entity.TASKS, KEY, 0)
            assert table == {(2, name): figures for name, figures in postgres.items()}
