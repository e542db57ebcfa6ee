"""The benchmark of scale: its sizes, its rates, and what must stand in the tables afterwards."""

from __future__ import annotations

import pytest

from benchmarks.scale import GROUPS, cases_of, parse
from benchmarks.scale_backlog import Case, lines_of, newest
from benchmarks.scale_rows import Rows, rows_of
from benchmarks.scale_run import rates
from benchmarks.workload import AGENTS, agent_names, changed, history, task_id
from nova_stream.events.change import Entity


def test_sizes_are_arguments_and_vary_one_thing_a_group() -> None:
    given = parse(["agents", "length", "--agents", "21", "500", "--events", "7", "--length", "9"])
    assert given.groups == ["agents", "length"]
    assert cases_of(given, "agents") == [Case("agents", 7), Case("agents", 7, agents=500)]
    assert cases_of(given, "length") == [Case("length", 9)]
    assert parse([]).groups == list(GROUPS)


def test_a_group_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["agent"])
    assert "no such group: agent; there are agents, workers" in capsys.readouterr().err


def test_the_rate_of_each_tenth_is_that_between_its_own_moments() -> None:
    """1,000 a second for the first half, 100 a second for the second."""
    samples = [(0.0, 10), (0.5, 510), (5.5, 1010)]
    found = rates(samples)
    assert found["tenths"] == [1000] * 5 + [100] * 5
    assert found["events_per_s"] == 182


def test_what_must_stand_there_is_the_newest_version_of_each_document() -> None:
    case = Case("agents", 3000, agents=30)
    found = newest(lines_of(case))
    versions: dict[tuple[Entity, str], int] = {}
    for line in lines_of(case):
        assert line.seq is not None
        versions[line.entity, line.id] = max(line.seq, versions.get((line.entity, line.id), 0))
    tasks = [seq for (entity, _), seq in versions.items() if entity is Entity.TASKS]
    assert found.documents[Entity.TASKS] == len(tasks) > 300
    assert found.versions[Entity.TASKS] == sum(tasks)


def test_a_history_of_known_agents_registers_none_and_names_them_all() -> None:
    names = agent_names(40)
    assert names[:21] == list(AGENTS)
    lines = list(history(5000, agents=names, register=False))
    assert Entity.AGENTS not in {line.entity for line in lines}
    assert {line.after["agent"] for line in lines if line.after and "agent" in line.after} == set(
        names
    )


def test_the_usual_history_is_what_it_was() -> None:
    lines = list(history(2000))
    assert [line.entity for line in lines[:22]] == [Entity.AGENTS] * 21 + [Entity.BUILDS]
    assert lines[1999].id == "t0e0f89154a7c6f34b80"


def test_half_of_the_entities_are_tasks_and_half_executions_with_their_builds() -> None:
    assert rows_of(21, 4100) == Rows(21, 100, 2000, 2000)
    assert sum(rows_of(0, 10_000_000)) == 10_000_000


def test_changes_of_old_rows_name_rows_that_were_put_in() -> None:
    (line,) = changed([7], ["MARS"], seed=1, first=100)
    assert (line.id, line.seq) == (task_id(7), 101)
    assert line.id == "t8f14e45fceea167a5a3"
