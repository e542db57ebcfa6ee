"""A running stack with demo traffic, and a Chromium that looks at its dashboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from nova_stream.local.ports import free_port
from nova_stream.scopes import SCOPES
from nova_stream.testing.servers import fresh_database
from tests.browser.dashboard import LIMIT, READER, TOKEN, Running, Window, until
from tests.chromium import CHROMIUM, launched

# Not Playwright's 5 seconds, which a busy machine may need for one answer.
expect.set_options(timeout=LIMIT)

WIDE: Any = {"width": 1600, "height": 1000}


@pytest.fixture(scope="package")
def running(
    nova_kafka: str, nova_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """``nova-stream dev`` on the session's servers, in topics and a database of its own."""
    with stack(nova_kafka, nova_postgres, tmp_path_factory.mktemp("dashboard")) as found:
        yield found


@contextmanager
def stack(
    kafka: str, postgres: str, folder: Path, traffic: tuple[str, ...] = ("--rate", "20")
) -> Iterator[Running]:
    """A ``nova-stream dev`` with 20 demo events a second, as long as the block lasts; ``traffic``
    are the options that say otherwise.
    """
    if CHROMIUM is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    port = free_port()
    with fresh_database(postgres) as database, (folder / "dev.log").open("wb") as log:
        environment = {
            **os.environ,
            "NOVA_KAFKA_BROKERS": kafka,
            "NOVA_DATABASE_URL": database,
            "NOVA_TOPIC_PREFIX": prefix,
            "NOVA_CONSUMER_GROUP": prefix,
            "NOVA_PARTITIONS": "2",
            "NOVA_STALL_MINUTES": "120",
            "NOVA_API_TOKEN": TOKEN,
            "NOVA_API_TOKENS": ",".join(
                [f"reader:read:{READER}", *(f"{scope}:{scope}:one-{scope}" for scope in SCOPES)]
            ),
        }
        command = [sys.executable, "-m", "nova_stream.cli.main", "dev", *traffic]
        dev = subprocess.Popen(
            [*command, "--port", str(port), "--data-dir", str(folder / "stack")],
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            _wait_ready(dev, folder / "stack" / "stack.env", folder / "dev.log")
            yield Running(f"http://127.0.0.1:{port}", prefix, kafka, environment)
        finally:
            dev.send_signal(signal.SIGTERM)
            dev.wait(60)


def _wait_ready(dev: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    def is_ready() -> bool:
        assert dev.poll() is None, log.read_text(encoding="utf-8", errors="replace")
        return ready.exists()

    until(is_ready, limit=120)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser, started once."""
    with launched() as found:
        yield found


@pytest.fixture(scope="package")
def browser(chromium: Browser, running: Running) -> Browser:
    """The browser, once there is something to look at."""
    del running
    return chromium


@pytest.fixture
def window(browser: Browser, running: Running) -> Iterator[Window]:
    """Opens the dashboard; at the end no page has met an error or left the server."""
    made = Window(browser, running)
    yield made
    made.close()


@pytest.fixture
def page(window: Window) -> Page:
    """The dashboard, wide, with the token that may do everything, showing live numbers."""
    return window.open(viewport=WIDE)


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    """Names what was slow: a test of a page has seconds, not minutes."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 60
