"""A platform of its own for the dashboard, whose parts can be taken away one after another."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from nova_stream.local.kafka import LocalKafka
from nova_stream.local.ports import free_port
from nova_stream.local.postgres import LocalPostgres
from nova_stream.settings import load_settings
from nova_stream.storage.migrate import migrate
from tests.acceptance.harness import Stack, signal_all, stopped_at_the_end
from tests.acceptance.test_broker_kills import start_api
from tests.browser.dashboard import Running, until
from tests.browser.data_sets import in_a_thread


class Outage(NamedTuple):
    """What happens, what ends it, and what the page's pill says meanwhile, and its banner."""

    pill: str
    happens: Callable[[], object]
    ends: Callable[[], object]
    banner: str | None = None

    @property
    def told(self) -> str:
        """What the banner says, the pill's words if nothing else."""
        return self.banner or self.pill


class Platform(NamedTuple):
    """What runs, and what can happen to it, by name; the last two cannot be ended."""

    running: Running
    outages: dict[str, Outage]


@contextmanager
def platform(folder: Path, prefix: str) -> Iterator[Platform]:
    """Servers, a worker and an API, migrated and ready, with nothing in it."""
    place = folder / "stack"
    with LocalKafka(place) as kafka, LocalPostgres(place) as postgres:
        settings = load_settings(
            database_url=postgres.url,
            kafka_brokers=(kafka.bootstrap_servers,),
            topic_prefix=prefix,
            consumer_group=prefix,
        )
        in_a_thread(migrate(settings))
        stack = Stack(folder, kafka, postgres, settings)
        port = free_port()
        worker, api = stack.start_worker(), start_api(stack, port)
        url = f"http://127.0.0.1:{port}"
        outages = _outages(kafka, postgres, worker, api)
        with stopped_at_the_end([worker, api]):
            until(lambda: _is_ready(url), limit=60)
            try:
                yield Platform(
                    Running(url, prefix, kafka.bootstrap_servers, stack.environment), outages
                )
            finally:
                for server in (kafka, postgres):
                    if server.is_running():
                        signal_all(server.pid, signal.SIGCONT)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").is_success
    except httpx.TransportError:
        return False


def _outages(
    kafka: LocalKafka,
    postgres: LocalPostgres,
    worker: subprocess.Popen[bytes],
    api: subprocess.Popen[bytes],
) -> dict[str, Outage]:
    def signalled(server: LocalKafka | LocalPostgres, number: signal.Signals) -> Callable[[], None]:
        return lambda: signal_all(server.pid, number)

    def ended(process: subprocess.Popen[bytes]) -> Callable[[], None]:
        def end() -> None:
            process.terminate()
            process.wait(20)

        return end

    stop, go = signal.SIGSTOP, signal.SIGCONT
    nothing: Callable[[], None] = lambda: None  # noqa: E731
    return {
        "kafka hung": Outage("Kafka does not answer", signalled(kafka, stop), signalled(kafka, go)),
        "postgres hung": Outage(
            "Postgres does not answer", signalled(postgres, stop), signalled(postgres, go)
        ),
        "postgres refusing": Outage("Postgres refuses connections", postgres.stop, postgres.start),
        "worker gone": Outage("No worker runs", ended(worker), nothing),
        "api gone": Outage("Connection lost", ended(api), nothing, "The server does not answer"),
    }
