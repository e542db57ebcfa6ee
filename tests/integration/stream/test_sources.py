"""A source that moves under running workers: told, and read on once the operator has said so."""

from __future__ import annotations

from typing import Any

import pytest

from nova_stream.cli.topics import _begin
from nova_stream.events.change import Entity
from tests.integration.storage.chunks import NOON_MS, value_of
from tests.integration.stream.harness import Stage, until

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS
OLD, NEW = 10**12, 3 * 10**7


def task(id_: str, lsn: int, ts: int, agent: str, *, op: str = "u") -> bytes:
    source: dict[str, Any] = {"connector": "postgresql", "lsn": lsn, "at": NOON_MS + ts}
    return value_of({"id": id_, "status": "done", "agent": agent}, op=op, **source)


async def open_letters(stage: Stage) -> int:
    rows = await stage.fetch("SELECT FROM dead_letters WHERE state = 'open'")
    return len(rows)


@pytest.mark.long
async def test_workers_go_back_to_where_a_new_source_begins_and_lose_nothing(stage: Stage) -> None:
    first, second = stage.start_worker(), stage.start_worker()
    for partition in (0, 1):
        stage.publish(
            TASKS,
            *(task(f"t{partition}{n}", OLD + n, n, "old") for n in range(20)),
            partition=partition,
        )
        await stage.row("tasks", f"t{partition}19")
    for partition in (0, 1):
        read = [task(f"t{partition}{n}", NEW, 99, "read", op="r") for n in range(20)]
        changed = task(f"t{partition}0", NEW + 1, 100, "new")
        stage.publish(TASKS, *read, changed, partition=partition)

    async def all_are_letters() -> bool:
        return await open_letters(stage) == 42

    await until("letters of all records of the new source", all_are_letters)
    said = first.lines("a source seems to have moved") + second.lines(
        "a source seems to have moved"
    )
    assert {line["topic"] for line in said} == {stage.settings.topic(TASKS)}

    found = await _begin(stage.settings, stage.settings.topic(TASKS))
    assert (found.read_again, found.letters) == ({0: 20, 1: 20}, 42)
    for partition in (0, 1):
        await stage.row("tasks", f"t{partition}0", agent="new")
        await stage.row("tasks", f"t{partition}19", agent="read")
    assert await open_letters(stage) == 0
    rows = await stage.fetch("SELECT DISTINCT version_generation FROM tasks")
    assert [row["version_generation"] for row in rows] == [1]
