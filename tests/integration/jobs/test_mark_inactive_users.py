"""markInactiveUsers keeps the list, and tells of each change once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer

from nova_stream.errors import KafkaUnavailableError, PublishError
from nova_stream.jobs import mark_inactive_users
from nova_stream.jobs.mark_inactive_users import run_once
from nova_stream.settings import Settings
from nova_stream.storage.maintenance import sql
from nova_stream.storage.maintenance.inactivity import InactivityEvent
from tests.integration.jobs.work import MILLISECOND, NOON, ApplyLines, Runs, before, scanned

pytestmark = pytest.mark.integration

QUARTER = timedelta(days=90)


class Outside:
    """Takes the events instead of Kafka; fails while ``away``."""

    def __init__(self) -> None:
        self.events: list[InactivityEvent] = []
        self.away = False

    async def send(self, _: Settings, events: list[InactivityEvent]) -> None:
        if self.away:
            raise PublishError("away")
        self.events += events

    def told(self) -> list[tuple[str, str]]:
        found = [(event.event, event.profile_id) for event in self.events]
        self.events.clear()
        return found


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    found = Outside()
    monkeypatch.setattr(mark_inactive_users, "send", found.send)
    return found


@pytest.fixture
def runs(nova_settings: Settings) -> Runs:
    return Runs(nova_settings)


def user(id_: str, seq: int = 1, **ago: float) -> dict[str, Any]:
    after = {"id": id_, "userId": f"user-{id_}", "email": f"{id_}@example.org"}
    if ago:
        after["lastActiveAt"] = before(NOON, **ago)
    return {"entity": "users", "seq": seq, "after": after}


async def listed(runs: Runs) -> list[tuple[str, Any]]:
    rows = await runs.fetch("SELECT * FROM inactive_users ORDER BY id")
    return [(row["id"], row["since"]) for row in rows]


async def test_nobody(runs: Runs, outside: Outside) -> None:
    assert await runs.run(run_once) == {
        "inactive": 0,
        "cutoffTime": "2025-11-22T12:00:00.000Z",
        "newlyInactive": 0,
        "reactivated": 0,
        "sent": 0,
    }


async def test_who_was_active_exactly_ninety_days_ago_is_active(
    runs: Runs, outside: Outside, apply_lines: ApplyLines
) -> None:
    await apply_lines(
        [
            user("at", days=90),
            user("older", days=90, milliseconds=1),
            user("younger", days=90, milliseconds=-1),
            user("never"),
        ]
    )
    found = await runs.run(run_once)
    assert (found["inactive"], found["newlyInactive"], found["sent"]) == (1, 1, 1)
    assert outside.told() == [("inactive", "older")]
    (row,) = await runs.fetch("SELECT * FROM inactive_users")
    assert row == {
        "id": "older",
        "user_id": "user-older",
        "since": NOON - QUARTER - MILLISECOND,
        "marked_at": NOON,
        "run_id": runs.last,
    }


async def test_each_change_is_told_once(
    runs: Runs, outside: Outside, apply_lines: ApplyLines
) -> None:
    await apply_lines([user("u1", days=100), user("u2", days=100)])
    await runs.run(run_once)
    first = {event.ce_id for event in outside.events}
    assert len(first) == len(outside.told()) == 2
    found = await runs.run(run_once)
    assert (found["inactive"], found["newlyInactive"], outside.told()) == (2, 0, [])

    await apply_lines([user("u1", 2, days=1)])
    found = await runs.run(run_once)
    assert (found["inactive"], found["reactivated"]) == (1, 1)
    assert outside.told() == [("active", "u1")]

    later = NOON + timedelta(days=100)
    found = await runs.run(run_once, later)
    assert (found["inactive"], found["newlyInactive"]) == (2, 1)
    assert not first & {event.ce_id for event in outside.events}
    assert outside.told() == [("inactive", "u1")]
    assert len(await runs.ids("inactivity_events", "true")) == 4


async def test_a_profile_that_is_deleted_leaves_the_list_quietly(
    runs: Runs, outside: Outside, apply_lines: ApplyLines
) -> None:
    await apply_lines([user("u1", days=100), user("u2", days=100)])
    await runs.run(run_once)
    outside.told()
    await apply_lines([{"entity": "users", "op": "d", "seq": 2, "before": {"id": "u1"}}])
    found = await runs.run(run_once)
    assert (found["inactive"], found["reactivated"], outside.told()) == (1, 0, [])
    assert [id_ for id_, _ in await listed(runs)] == ["u2"]


async def test_another_cutoff_brings_nobody_a_mail(
    runs: Runs, outside: Outside, apply_lines: ApplyLines
) -> None:
    await apply_lines([user("u1", days=100)])
    await runs.run(run_once)
    assert outside.told() == [("inactive", "u1")]
    found = await runs.run(run_once, inactive_days=200)
    assert (found["inactive"], found["reactivated"]) == (0, 0)
    assert await listed(runs) == []
    assert (await runs.run(run_once))["newlyInactive"] == 1
    assert outside.told() == []


async def test_activity_between_two_runs_only_moves_since(
    runs: Runs, outside: Outside, apply_lines: ApplyLines
) -> None:
    await apply_lines([user("u1", days=300)])
    await runs.run(run_once)
    outside.told()
    await apply_lines([user("u1", 2, days=200)])
    assert (await runs.run(run_once))["newlyInactive"] == 0
    assert await listed(runs) == [("u1", NOON - timedelta(days=200))]
    assert outside.told() == []


async def test_what_could_not_be_sent_is_sent_later(
    runs: Runs, outside: Outside, apply_lines: ApplyLines
) -> None:
    await apply_lines([user("u1", days=100)])
    outside.away = True
    with pytest.raises(PublishError):
        await runs.run(run_once)
    assert len(await listed(runs)) == 1
    outside.away = False
    found = await runs.run(run_once)
    assert (found["newlyInactive"], found["sent"]) == (0, 1)
    assert outside.told() == [("inactive", "u1")]


async def test_a_dry_run(runs: Runs, outside: Outside, apply_lines: ApplyLines) -> None:
    await apply_lines([user("u1", days=100)])
    found = await runs.run(run_once, dry_run=True)
    assert (found["inactive"], found["newlyInactive"], found["sent"]) == (1, 1, 0)
    assert await listed(runs) == []
    assert outside.told() == []


async def test_more_than_a_batch(runs: Runs, outside: Outside, apply_lines: ApplyLines) -> None:
    await apply_lines(user(f"u{n}", days=91 + n % 5) for n in range(2500))
    found = await runs.run(run_once)
    assert (found["inactive"], found["newlyInactive"], found["sent"]) == (2500, 2500, 2500)
    await apply_lines(user(f"u{n}", 2, days=1) for n in range(2500))
    found = await runs.run(run_once)
    assert (found["inactive"], found["reactivated"], found["sent"]) == (0, 2500, 2500)


async def test_it_walks_indexes(runs: Runs) -> None:
    await runs.execute("""
        INSERT INTO user_profiles (id, last_active_at, version, version_minor, changed_at,
            src_partition, src_offset, doc)
        SELECT 'u' || n, timestamptz '2026-02-20 12:00Z' - n * interval '1 minute', 1, 0, now(), 0,
            n, '{}'
        FROM generate_series(1, 150000) n;
        INSERT INTO inactive_users SELECT id, user_id, last_active_at, now(), 1 FROM user_profiles
            WHERE last_active_at < timestamptz '2025-11-22 12:00Z';
        ANALYZE user_profiles, inactive_users""")
    mark = (NOON - QUARTER, "-infinity", "", 1000, NOON, 1)
    assert await scanned(runs, sql.MARK_INACTIVE, *mark) == set()
    unmark = (NOON - QUARTER, "", 1000, NOON, 1)
    assert await scanned(runs, sql.UNMARK_INACTIVE, *unmark) == set()


async def test_the_event_in_kafka(runs: Runs, nova_kafka: str, apply_lines: ApplyLines) -> None:
    runs.settings = runs.settings.model_copy(update={"kafka_brokers": (nova_kafka,)})
    await apply_lines([user("u1", days=100)])
    assert (await runs.run(run_once))["sent"] == 1
    topic = mark_inactive_users.inactivity_topic(runs.settings)
    consumer = Consumer(
        {"bootstrap.servers": nova_kafka, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    try:
        message = consumer.poll(20)
    finally:
        consumer.close()
    assert message is not None
    assert message.key() == b"u1"
    assert dict(message.headers())["content-type"].startswith(b"application/cloudevents+json")
    assert json.loads(message.value()) == {
        "specversion": "1.0",
        "id": f"inactive:{int((NOON - timedelta(days=100)).timestamp() * 1000)}:u1",
        "source": "nova-stream",
        "type": "nova.users.inactive",
        "subject": "u1",
        "time": "2026-02-20T12:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {
            "id": "u1",
            "userId": "user-u1",
            "lastActiveAt": before(NOON, days=100),
        },
    }


async def test_kafka_that_is_not_there_is_a_clear_error(
    runs: Runs, apply_lines: ApplyLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark_inactive_users, "_TIMEOUT_S", 1.0)
    runs.settings = runs.settings.model_copy(update={"kafka_brokers": ("127.0.0.1:1",)})
    await apply_lines([user("u1", days=100)])
    with pytest.raises(KafkaUnavailableError, match=r"127\.0\.0\.1:1"):
        await runs.run(run_once)
