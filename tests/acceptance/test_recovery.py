"""How soon others go on after a worker's death."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time

import pytest

from nova_stream.events.lines import change_line
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.model import Group
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.storage.database import connect
from tests.acceptance.harness import Stack, kill, stopped_at_the_end, until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

#: Seconds more than its own start that a worker takes to follow one that was killed; with Kafka's
#: session it would be up to 6.
WITHIN = 3.0
#: Surely some in every partition.
TASKS = 64

_SEEN = "SELECT count(*) FROM tasks WHERE doc->>'title' = $1"

_END_SIGNS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'nova-stream sign of life'
"""


async def change_all(stack: Stack, title: str) -> None:
    """Change tasks of all partitions, and wait until Postgres has them all."""
    tasks = [
        {"id": f"t{number}", "status": "done", "agent": "ATLAS", "title": title}
        for number in range(TASKS)
    ]
    async with ChangePublisher(stack.settings) as publisher:
        await publisher.publish([change_line({"entity": "tasks", "after": task}) for task in tasks])
    connection = await connect(stack.settings, "recovery")
    try:

        async def all_seen() -> bool:
            return bool(await connection.fetchval(_SEEN, title) == TASKS)

        await until(f"all tasks are {title}", all_seen)
    finally:
        await connection.close()


async def group_of(stack: Stack) -> Group:
    async with KafkaAdmin(stack.settings) as admin:
        return await admin.group(stack.settings.consumer_group)


async def until_members(stack: Stack, count: int) -> None:
    async def has() -> bool:
        group = await group_of(stack)
        return group.members == count and group.state == "Stable"

    await until(f"the group has {count} members", has)


async def test_a_worker_that_follows_a_killed_one_waits_for_no_session(stack: Stack) -> None:
    processes: list[subprocess.Popen[bytes]] = []
    with stopped_at_the_end(processes):
        started = time.monotonic()
        processes.append(stack.start_worker())
        await until_members(stack, 1)
        await change_all(stack, "before")
        first = time.monotonic() - started
        kill(processes[0])
        started = time.monotonic()
        processes.append(stack.start_worker())
        await change_all(stack, "after")
        second = time.monotonic() - started
    assert second < first + WITHIN


async def test_of_two_workers_the_dead_one_is_known_at_once_and_a_living_one_is_not_taken_for_dead(
    stack: Stack,
) -> None:
    processes = [stack.start_worker(), stack.start_worker()]
    with stopped_at_the_end(processes):
        await until_members(stack, 2)
        await change_all(stack, "before")
        before = set((await group_of(stack)).clients)
        # Stopped for a moment, and its session in Postgres ended.
        processes[0].send_signal(signal.SIGSTOP)
        await asyncio.sleep(2)
        processes[0].send_signal(signal.SIGCONT)
        await end_signs_of_life(stack)
        await asyncio.sleep(2)
        assert set((await group_of(stack)).clients) == before
        assert "a worker died" not in stack.logs()
        # The two trust nobody's absence for a while after that; the third has lost nothing.
        processes.append(stack.start_worker())
        await until_members(stack, 3)
        kill(processes[0])
        await change_all(stack, "after")
        assert (await group_of(stack)).members == 2
    assert "a worker died" in stack.logs()


async def end_signs_of_life(stack: Stack) -> None:
    connection = await connect(stack.settings, "recovery")
    try:
        assert await connection.fetchval(_END_SIGNS) == 2
    finally:
        await connection.close()
