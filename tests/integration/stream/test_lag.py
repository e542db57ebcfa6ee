"""Lag is what is there to be applied, and the same number wherever it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.events.change import Entity
from nova_stream.publish.position_token import PositionToken
from tests.integration.storage.chunks import value_of
from tests.integration.stream.four_places import Places, places_of
from tests.integration.stream.harness import Stage, until

pytestmark = [pytest.mark.integration, pytest.mark.long]

TASKS = Entity.TASKS


def task(id_: str, seq: int = 1) -> bytes:
    return value_of({"id": id_, "status": "done"}, seq=seq)


class Transactions:
    """A producer with transactions on a stage's tasks."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.name = f"{stage.settings.topic_prefix}-app"
        self.producer = stage.producer(transactional_id=self.name)
        self.producer.init_transactions(30)

    def begin(self, *ids: str) -> None:
        self.producer.begin_transaction()
        self.stage.publish(TASKS, *(task(id_) for id_ in ids), producer=self.producer)

    def commit(self, *ids: str) -> None:
        self.begin(*ids)
        self.producer.commit_transaction(30)

    def abort(self, *ids: str) -> None:
        self.begin(*ids)
        self.producer.abort_transaction(30)


async def committed(stage: Stage) -> int:
    Transactions(stage).commit("a", "b")
    await stage.row("tasks", "b")
    return 3


async def aborted(stage: Stage) -> int:
    Transactions(stage).abort("a", "b")
    return 3


async def aborted_behind_a_record(stage: Stage) -> int:
    transactions = Transactions(stage)
    transactions.commit("a")
    transactions.abort("b", "c", "d")
    transactions.commit("e")
    transactions.abort("f")
    await stage.row("tasks", "e")
    return 10


async def deleted_by_retention(stage: Stage) -> int:
    stage.publish(TASKS, *(task(f"t{n}") for n in range(5)))
    await stage.row("tasks", "t4")
    stage.delete_records(TASKS, 5)
    return 5


async def deleted_behind_a_marker(stage: Stage) -> int:
    Transactions(stage).commit("a")
    await stage.row("tasks", "a")
    stage.delete_records(TASKS, 2)
    return 2


HISTORIES = [
    committed,
    aborted,
    aborted_behind_a_record,
    deleted_by_retention,
    deleted_behind_a_marker,
]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
async def test_what_is_no_record_is_no_lag_anywhere(
    stage: Stage, history: Callable[[Stage], Awaitable[int]]
) -> None:
    stage.start_worker(metrics_port="0")
    await stage.worker.says("metrics")
    await until("it has positions", lambda: stage.fetch("SELECT 1 FROM stream_positions"))
    async with places_of(stage) as places:
        end = await history(stage)
        await places.are(0, "after it")

        async def at_end() -> bool:
            return bool((await stage.position(TASKS))["next_offset"] == end)

        await until("the position stands at the log's end", at_end)
        stage.publish(TASKS, task("last"))
        await stage.row("tasks", "last")
        await places.are(0, "after one more record")
        assert (await places.status())["freshnessMs"] is None, "tasks tell none"
    assert not stage.worker.lines("records are gone from the log before they were read")


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
async def test_a_worker_that_begins_below_what_is_no_record_steps_over_it(
    stage: Stage, history: Callable[[Stage], Awaitable[int]]
) -> None:
    stage.start_worker(metrics_port="0")
    await stage.worker.says("metrics")
    await until("it has positions", lambda: stage.fetch("SELECT 1 FROM stream_positions"))
    end = await history(stage)

    async def at_end() -> bool:
        return bool((await stage.position(TASKS))["next_offset"] == end)

    await until("the position stands at the log's end", at_end)
    assert stage.worker.stop() == 0
    stage.start_worker(metrics_port="0")
    await stage.worker.says("metrics")
    async with places_of(stage) as places:
        await places.are(0, "in the second worker")


async def test_the_backlog_of_a_stopped_worker_is_counted_as_records(stage: Stage) -> None:
    transactions = Transactions(stage)
    async with places_of(stage) as places:
        transactions.commit("a", "b")
        transactions.abort("c", "d", "e")
        transactions.commit("f")
        transactions.abort("g")
        stage.publish(Entity.BUILDS, value_of({"id": "b"}), partition=1)
        await places.are(4, "of twelve offsets", worker=False)
        assert await places.topics() == {
            stage.settings.topic(entity): (lag, 2, waiting)
            for entity, lag, waiting in [
                *((entity, 0, 0) for entity in Entity),
                (TASKS, 3, 1),
                (Entity.BUILDS, 1, 1),
            ]
        }
        stage.delete_records(TASKS, 1)
        await places.are(3, "without the one that retention took", worker=False)
        stage.start_worker(metrics_port="0")
        await stage.worker.says("metrics")
        await places.are(0, "with a worker")


async def test_a_topic_made_again_counts_from_its_start(stage: Stage) -> None:
    stage.start_worker(metrics_port="0")
    stage.publish(TASKS, *(task(f"old{n}") for n in range(5)))
    await stage.row("tasks", "old4")
    assert stage.worker.stop() == 0
    stage.delete_topic(TASKS)
    async with places_of(stage) as places:
        await places.are(0, "without the topic", worker=False)
        await until("the topic can be made again", lambda: made_again(stage))
        stage.publish(TASKS, *(task(f"new{n}", seq=2) for n in range(6)))
        await until("status", lambda: says(places, "lag", 6))


async def made_again(stage: Stage) -> bool:
    try:
        stage.make_topic(TASKS, 2)
    except Exception:
        return False
    return True


async def says(places: Places, field: str, value: Any) -> bool:
    return bool((await places.status())[field] == value)


async def test_a_compacted_log_is_no_lag(stage: Stage) -> None:
    other = stage.make_compacted(TASKS)
    number = 0

    async def compacted() -> bool:
        nonlocal number
        number += 1
        stage.publish(TASKS, task("a", number), key=b"a")
        return stage.count(TASKS) < stage.log_range(TASKS)[1] // 2

    await until("the topic is compacted", compacted)
    async with places_of(stage) as places:
        # Compaction goes on meanwhile.
        await places.are(lambda: stage.count(TASKS), "of a compacted log", worker=False)
        stage.start_worker(metrics_port="0", topic_tasks=other)
        await stage.worker.says("metrics")
        await places.are(0, "of a compacted log, applied")


async def test_an_open_transaction_is_named_and_is_no_lag(stage: Stage) -> None:
    transactions = Transactions(stage)
    stage.start_worker(metrics_port="0")
    await stage.worker.says("metrics")
    transactions.begin("a")
    stage.publish(TASKS, *(task(f"after{n}") for n in range(4)))
    async with places_of(stage) as places:
        await until("status names it", lambda: held_back(places, 5))
        await places.are(0, "while it is open")
        (held,) = (await places.status())["heldBack"]
        assert held == {
            "topic": stage.settings.topic(TASKS),
            "partition": 0,
            "records": 5,
            "producerId": held["producerId"],
            "transactionalId": transactions.name,
            "lastWriteAt": held["lastWriteAt"],
        }
        found = await places.doctor()
        assert found["lag"].message == "0: all that can be read is applied"
        assert found["transactions"].ok, "it is young"
        assert found["transactions"].message.startswith(
            f"an open transaction of producer {transactions.name} (id {held['producerId']})"
        )
        assert "holds back up to 5 records" in found["transactions"].message
        transactions.producer.abort_transaction(30)
        await stage.row("tasks", "after3")
        await until("nothing is held back", lambda: says(places, "heldBack", []))
        await places.are(0, "after its end")
    assert await stage.fetch("SELECT 1 FROM tasks WHERE id = 'a'") == []


async def held_back(places: Places, records: int) -> bool:
    held = (await places.status())["heldBack"]
    return bool(held) and held[0]["records"] == records


async def test_a_token_behind_markers_is_reached(stage: Stage) -> None:
    """The position that a publisher with transactions gets may lie behind a marker."""
    stage.start_worker(metrics_port="0")
    transactions = Transactions(stage)
    transactions.commit("a")
    transactions.abort("b")
    end = stage.log_range(TASKS)[1]
    token = PositionToken({stage.settings.topic(TASKS): {0: end}})
    app = create_app(stage.settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        answer = await client.get(
            "/api/v1/overview", params={"after": token.encode(), "timeout": 30}, timeout=40
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["completedTasks"] == 1


async def test_what_cannot_be_applied_yet_is_lag(stage: Stage) -> None:
    stage.start_worker(metrics_port="0")
    stage.publish(TASKS, task("a"))
    await stage.row("tasks", "a")
    await stage.fetch("ALTER TABLE tasks RENAME TO elsewhere")
    stage.publish(TASKS, *(task(f"b{n}") for n in range(5)))
    await stage.worker.says("flush failed")
    async with places_of(stage) as places:
        await until("status", lambda: says(places, "lag", 5))
        await stage.fetch("ALTER TABLE elsewhere RENAME TO tasks")
        await stage.row("tasks", "b4")
        await places.are(0, "at last")
