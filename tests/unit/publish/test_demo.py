"""The demo: believable, the same for the same seed, and at an even pace."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.clock import Clock, isoformat, to_millis
from nova_stream.demo.cast import AGENTS
from nova_stream.demo.demo import demo_events
from nova_stream.demo.past import past_events
from nova_stream.demo.time import Pace
from nova_stream.events.change import Entity
from nova_stream.events.encode import validate_document
from nova_stream.events.lines import ChangeLine

from .helpers import NOON

MOVES = {
    "new": {"pending"},
    "pending": {"ready", "blocked"},
    "ready": {"ready", "running", "blocked"},
    "running": {"done", "failed", "blocked"},
    "failed": {"failed", "ready"},
    "done": set(),
    "blocked": set(),
}


def ticking(step: timedelta, start: datetime = NOON) -> Clock:
    """A clock that is ``step`` later at every look."""
    now = [start]

    def clock() -> datetime:
        now[0] += step
        return now[0]

    return clock


def a_day() -> list[ChangeLine]:
    """The first 60,000 changes of some three hours."""
    return list(islice(demo_events(1, ticking(timedelta(milliseconds=100))), 60_000))


@pytest.fixture(scope="module")
def day() -> list[ChangeLine]:
    return a_day()


def tasks_of(day: list[ChangeLine]) -> Iterator[tuple[str, list[dict[str, object]]]]:
    told: dict[str, list[dict[str, object]]] = defaultdict(list)
    for change in day:
        if change.entity is Entity.TASKS:
            assert change.after is not None
            told[change.id].append(change.after)
    yield from told.items()


def test_every_change_can_be_published(day: list[ChangeLine]) -> None:
    for change in day:
        assert change.after is not None
        validate_document(change.entity, change.after)
        assert change.after["id"] == change.id


def test_the_same_seed_and_clock_tell_the_same(day: list[ChangeLine]) -> None:
    assert a_day() == day


def test_the_agents_come_first(day: list[ChangeLine]) -> None:
    assert len(AGENTS) == 21
    assert [change.after for change in day[:21]] == [agent.document() for agent in AGENTS]


def test_a_later_start_tells_of_the_same_agents_and_of_other_builds(day: list[ChangeLine]) -> None:
    later = demo_events(1, ticking(timedelta(milliseconds=1), NOON + timedelta(hours=1)))
    again = list(islice(later, 5000))

    def ids(changes: list[ChangeLine], entity: Entity) -> set[str]:
        return {change.id for change in changes if change.entity is entity}

    for entity in (Entity.AGENTS, Entity.USERS):
        assert ids(again, entity) == ids(day, entity)
    for entity in (Entity.BUILDS, Entity.TASKS, Entity.EXECUTIONS, Entity.ACTIVITIES):
        assert not ids(again, entity) & ids(day, entity)


def test_tasks_go_their_way_and_wait_for_what_they_depend_on(day: list[ChangeLine]) -> None:
    status: dict[object, str] = {}
    for change in day:
        if change.entity is not Entity.TASKS:
            continue
        assert change.after is not None
        task = change.after
        assert task["status"] in MOVES[status.get(task["id"], "new")]
        status[task["id"]] = task["status"]
        if task["status"] == "ready":
            needed = [f"{task['buildId']}-{name}" for name in task["dependencies"]]
            assert all(status[name] == "done" for name in needed)


def test_what_makes_it_believable(day: list[ChangeLine]) -> None:
    seen = Counter(
        (change.entity.value, change.after.get("status")) for change in day if change.after
    )
    assert 0.02 < seen["builds", "failed"] / seen["builds", "completed"] < 0.3
    assert 0.02 < seen["tasks", "failed"] / seen["tasks", "done"] < 0.3
    assert seen["tasks", "blocked"] > 0
    tasks = dict(tasks_of(day))
    moved = sum(len({change["agent"] for change in told}) > 1 for told in tasks.values())
    assert 0.03 < moved / len(tasks) < 0.3
    assert any(change["attempts"] == 2 for told in tasks.values() for change in told)
    workers = {change["agent"] for told in tasks.values() for change in told}
    assert workers == {agent.name for agent in AGENTS}
    durations = [
        change.after["duration"]
        for change in day
        if change.entity is Entity.EXECUTIONS and change.after
    ]
    durations.sort()
    assert 1500 < durations[len(durations) // 2] < 8000 < durations[-1]


def test_some_builds_stall_and_are_cleared_up_later(day: list[ChangeLine]) -> None:
    builds = {c.id: c.after for c in day if c.entity is Entity.BUILDS and c.after}
    end = max(change.ts_ms or 0 for change in day)
    stalled = {
        id_: build
        for id_, build in builds.items()
        if build["status"] == "running"
        and datetime.fromisoformat(build["startedAt"]).timestamp() * 1000 < end - 100 * 60_000
    }
    assert 3 < len(stalled) < 100
    statuses = {
        change[-1]["status"] for _, change in tasks_of(day) if change[-1]["buildId"] in stalled
    }
    assert statuses == {"done", "blocked"}


def test_every_change_is_as_new_as_it_is_told() -> None:
    """Freshness counts from there: what happened long ago may stand in documents alone."""
    now = [NOON]
    events = demo_events(1, lambda: now[0])
    late = 0
    for _ in range(20_000):
        now[0] += timedelta(milliseconds=100)
        change = next(events)
        assert change.ts_ms == to_millis(now[0])
        started = (change.after or {}).get("startedAt")
        late += started is not None and datetime.fromisoformat(started) < NOON
    assert late > 3


def test_of_builds_that_stall_some_have_no_tasks_and_some_stand_midway(
    day: list[ChangeLine],
) -> None:
    begun = [c for c in day if c.entity is Entity.BUILDS and c.after and c.after["startedAt"]]
    planned = {told[0]["buildId"] for _, told in tasks_of(day)}
    told_late = {c.id for c in begun if c.after and c.after["startedAt"] < isoformat(NOON)}
    ended = {c.id for c in begun if c.after and c.after["status"] != "running"}
    assert told_late
    assert not told_late & (planned | ended)
    assert planned - ended


@given(
    st.floats(0.5, 50_000),
    st.lists(st.floats(0.0, 0.4), min_size=1, max_size=60),
)
def test_the_pace_is_kept_on_average(rate: float, delays: list[float]) -> None:
    start = now = 1000.0
    pace = Pace(rate, start)
    sent = 0
    for delay in delays:
        now += pace.wait(now)
        due = pace.due(now)
        assert due >= 1
        sent += due
        pace.sent(due)
        assert sent <= (now - start) * rate + 1.01
        assert sent >= (now - start) * rate - 1.01
        now += delay  # publishing takes its time


def test_after_a_long_pause_the_rest_is_left_out() -> None:
    pace = Pace(100.0, 0.0)
    pace.sent(100)

    assert pace.due(3600.0) == 200
    pace.sent(200)
    assert pace.wait(3600.0) == pytest.approx(0.02)
    assert pace.due(3601.0) == 100


@pytest.fixture(scope="module")
def past() -> list[ChangeLine]:
    return list(past_events(lambda: NOON))


def test_the_past_is_of_two_days_and_over(past: list[ChangeLine]) -> None:
    last = {change.id: change for change in past}
    assert all(change.ts_ms == to_millis(NOON) and change.op == "r" for change in last.values())
    documents = [change.after or {} for change in past]
    times = [
        document[name]
        for document in documents
        for name in ("timestamp", "createdAt", "startedAt", "completedAt")
        if name in document
    ]
    assert isoformat(NOON - timedelta(days=2)) < min(times)
    assert min(times) < isoformat(NOON - timedelta(hours=45))
    assert isoformat(NOON - timedelta(hours=3)) < max(times) < isoformat(NOON)
    statuses = {
        entity: {
            change.after["status"] for change in past if change.after and change.entity is entity
        }
        for entity in (Entity.BUILDS, Entity.TASKS)
    }
    assert statuses == {
        Entity.BUILDS: {"completed", "failed"},
        Entity.TASKS: {"done", "failed", "blocked"},
    }
    for change in past:
        assert change.after is not None
        validate_document(change.entity, change.after)


def test_a_task_of_the_past_was_finished_when_it_was(past: list[ChangeLine]) -> None:
    told: dict[str, list[ChangeLine]] = defaultdict(list)
    for change in past:
        told[change.id].append(change)
    tasks = [changes for changes in told.values() if changes[0].entity is Entity.TASKS]
    for then, now in tasks:
        assert then.after == now.after
        assert to_millis(NOON - timedelta(days=2)) < (then.ts_ms or 0) < to_millis(NOON)
    assert all(len(changes) == 1 for changes in told.values() if changes not in tasks)


def test_a_demo_that_begins_again_tells_the_same_past(past: list[ChangeLine]) -> None:
    later = {change.id: change for change in past_events(lambda: NOON + timedelta(minutes=700))}
    both = [change for change in past if change.op == "r" and change.id in later]
    assert len(both) > 3000
    assert {change.id for change in both} >= {id_ for id_ in later if build_of(id_) in ended(past)}
    for change in both:
        again = later[change.id].after or {}
        if again != change.after:  # of the day before, by now
            assert again["agent"] == "TRITON"
            assert again | {"duration": 0} == (change.after or {}) | {"duration": 0}


def ended(past: list[ChangeLine]) -> set[str]:
    return {change.id for change in past if change.entity is Entity.BUILDS}


def build_of(id_: str) -> str:
    return "-".join(id_.split("-")[:3])


def test_one_agent_got_slower_since_the_day_before(past: list[ChangeLine]) -> None:
    durations: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for change in past:
        document = change.after or {}
        if change.entity is Entity.EXECUTIONS:
            before = document["timestamp"] < isoformat(NOON - timedelta(days=1))
            durations[document["agent"], before].append(document["duration"])

    def change_of(agent: str) -> float:
        return median(durations[agent, False]) / median(durations[agent, True])

    slower = max((agent.name for agent in AGENTS), key=change_of)
    assert slower == "TRITON"
    assert change_of(slower) > 3
