"""The fake: as strict as the real publisher, and everything can be looked at."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import nova_stream
from nova_stream.errors import PublishError, RejectedError
from nova_stream.events.change import Entity
from nova_stream.events.lines import parse_line
from nova_stream.publish.interface import Publisher
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.testing.fake_publisher import FakeChangePublisher

from .helpers import AGENT, NOON_MS, TASK, noon

DOCUMENTS: dict[str, dict[str, Any]] = {
    "agent": AGENT,
    "build": {"id": "b-1", "status": "running"},
    "task": TASK,
    "execution": {"id": "e-1", "agent": "ATLAS", "duration": 12.5},
    "activity": {"id": "a-1", "eventType": "task_started"},
    "user": {"id": "u-1"},
}


@pytest.fixture
def fake() -> FakeChangePublisher:
    return FakeChangePublisher(clock=noon)


def test_the_package_exports_the_publisher() -> None:
    assert nova_stream.ChangePublisher is ChangePublisher
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = nova_stream.nothing_like_it


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_call_an_entity(fake: FakeChangePublisher, name: str) -> None:
    document = DOCUMENTS[name]

    token = await getattr(fake, name)(document, op="c", seq=5, minor=1, ts_ms=NOON_MS)

    (change,) = fake.changes
    assert (change.id, change.op, change.seq, change.minor) == (document["id"], "c", 5, 1)
    assert (change.ts_ms, change.after, change.before) == (NOON_MS, document, None)
    assert fake.documents(change.entity) == [document]
    assert token.positions == {f"nova.{change.entity.value}": {0: 1}}


async def test_updates_are_the_default_and_take_the_state_before(fake: FakeChangePublisher) -> None:
    await fake.task(TASK, before=TASK | {"status": "running"})

    (change,) = fake.changes
    assert (change.op, change.seq) == ("u", None)
    assert change.before == TASK | {"status": "running"}


async def test_deletions(fake: FakeChangePublisher) -> None:
    await fake.delete("tasks", "t-1")
    await fake.delete(Entity.AGENTS, "agent-ATLAS", before=AGENT, seq=3)

    first, second = fake.changes
    assert (first.entity, first.id, first.op, first.before) == ("tasks", "t-1", "d", {"id": "t-1"})
    assert (second.id, second.seq, second.before) == ("agent-ATLAS", 3, AGENT)
    assert fake.documents("tasks") == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (TASK | {"status": "perhaps"}, "bad_status"),
        ({"status": "done"}, "missing_id"),
        (TASK | {"createdAt": "yesterday"}, "bad_time"),
        (TASK | {"title": "\x00"}, "unstorable_text"),
        (TASK | {"note": float("nan")}, "unstorable_number"),
        (TASK | {"note": object()}, "wrong_type"),
        (["t-1"], "wrong_shape"),
        (None, "wrong_shape"),
    ],
)
async def test_what_would_become_a_dead_letter_is_refused(
    fake: FakeChangePublisher, document: Any, reason: str
) -> None:
    with pytest.raises(RejectedError) as caught:
        await fake.task(document)

    assert caught.value.reason == reason
    assert fake.changes == []


async def test_other_mistakes_of_callers(fake: FakeChangePublisher) -> None:
    for call, reason in (
        (fake.task(TASK, op="d"), "bad_op"),  # type: ignore[arg-type]
        (fake.task(TASK, op="x"), "bad_op"),  # type: ignore[arg-type]
        (fake.task(TASK, seq=-1), "bad_version"),
        (fake.task(TASK, minor=-1), "bad_version"),
        (fake.task(TASK, ts_ms=5), "bad_time"),
        (fake.task(TASK, before=7), "wrong_shape"),  # type: ignore[arg-type]
        (fake.delete("planets", "p-1"), "bad_entity"),
        (fake.delete("tasks", ""), "missing_id"),
        (fake.delete("tasks", "\x00"), "unstorable_text"),
    ):
        with pytest.raises(RejectedError) as caught:
            await call
        assert caught.value.reason == reason

    assert fake.changes == []


async def test_many_at_once(fake: FakeChangePublisher) -> None:
    line = parse_line(b'{"entity": "users", "after": {"id": "u-1"}}')

    token = await fake.publish([{"entity": "tasks", "after": TASK}, line, line])

    assert [change.id for change in fake.changes] == ["t-1", "u-1", "u-1"]
    assert token.positions == {"nova.tasks": {0: 1}, "nova.users": {0: 2}}


async def test_of_a_list_with_a_mistake_nothing_is_published(fake: FakeChangePublisher) -> None:
    with pytest.raises(RejectedError, match="status"):
        await fake.publish([{"entity": "tasks", "after": TASK}, {"entity": "tasks", "after": {}}])

    assert fake.changes == []


async def test_what_only_shows_in_the_record_stops_a_list_too(fake: FakeChangePublisher) -> None:
    good = {"entity": "tasks", "after": TASK}
    large = {"entity": "tasks", "after": TASK | {"output": "x" * 11_000_000}}

    with pytest.raises(RejectedError, match="makes a record of"):
        await fake.publish((good, large))
    assert fake.changes == []

    with pytest.raises(RejectedError, match="makes a record of"):
        await fake.publish(iter([good, large]))
    assert len(fake.changes) == 1


async def test_kafka_can_be_away(fake: FakeChangePublisher) -> None:
    fake.failure = "Kafka is away"

    with pytest.raises(PublishError, match="Kafka is away"):
        await fake.task(TASK)

    assert fake.changes == []


async def test_it_stands_in_for_the_real_one() -> None:
    async with FakeChangePublisher() as publisher:
        assert isinstance(publisher, Publisher)

    for name, method in inspect.getmembers(ChangePublisher, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            twin = getattr(FakeChangePublisher, name)
            assert inspect.signature(twin) == inspect.signature(method), name
