"""The dashboard as the tests see it: opening it, and putting changes into its stack."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from confluent_kafka import Producer
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

TOKEN = "browser-admin-token"
READER = "browser-reader-token"
#: Milliseconds for something to appear on a busy machine.
LIMIT = 30_000


def until(condition: Callable[[], bool], *, limit: float = 20) -> None:
    """Wait for ``condition``, at most ``limit`` seconds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"{condition} has not come true in {limit} s"
        time.sleep(0.05)


class Running(NamedTuple):
    """A stack that runs: its API, and the Kafka behind it."""

    url: str
    prefix: str
    kafka: str
    environment: dict[str, str]

    def call(self, method: str, path: str, **rest: Any) -> Any:
        """An answer of the API's, as JSON."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        response = httpx.request(
            method, f"{self.url}/api/v1{path}", headers=headers, timeout=20, **rest
        )
        response.raise_for_status()
        return response.json()

    def publish(self, *events: dict[str, Any]) -> str:
        """Publish changes, and wait until the figures have them; the position token."""
        token: str = self.call("POST", "/events", json=list(events))["token"]
        self.call("GET", "/overview", params={"after": token, "timeout": 20})
        return token

    def spoil(self, key: str, value: bytes) -> str:
        """Put a record that cannot be applied into the tasks' topic; where it is, as the page
        writes it.
        """
        places: list[str] = []

        def written(error: object, message: Any) -> None:
            assert error is None
            places.append(f"{message.topic()} / {message.partition()} / {message.offset()}")

        producer = Producer({"bootstrap.servers": self.kafka})
        producer.produce(f"{self.prefix}.tasks", key=key, value=value, on_delivery=written)
        assert producer.flush(20) == 0
        return places[0]


class Window:
    """Opens pages, and watches what they ask for and which errors they meet."""

    def __init__(self, browser: Browser, running: Running) -> None:
        self._browser = browser
        self._running = running
        self._contexts: list[BrowserContext] = []
        self.errors: list[str] = []
        self.requests: list[str] = []

    def open(
        self,
        path: str = "/",
        *,
        token: str = TOKEN,
        url: str = "",
        script: str = "",
        **options: Any,
    ) -> Page:
        """The page at ``path`` with ``token`` (none if empty), once it is live; ``script`` comes
        before its own, ``options`` are those of a browser context.
        """
        context = self._browser.new_context(**options)
        self._contexts.append(context)
        context.set_default_timeout(LIMIT)
        context.add_init_script(script)
        page = context.new_page()
        page.on("request", self._asked)
        page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        base = url or self._running.url
        page.goto(f"{base}{path}#token={token}" if token else f"{base}{path}")
        if token:
            live(page)
        return page

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def close(self) -> None:
        """Close all pages; raises AssertionError when one met an error or left its server."""
        for context in self._contexts:
            context.close()
        assert self.errors == [], repr(self.errors)
        strangers = {url for url in self.requests if urlsplit(url).hostname != "127.0.0.1"}
        assert strangers == set()


def live(page: Page) -> None:
    """Wait until the page says that its numbers are live."""
    expect(page.locator("#state")).to_have_attribute("data-state", "live")


def visit(page: Page, path: str) -> None:
    """Go to another page, as somebody does who has its address."""
    page.goto(f"{page.evaluate('location.origin')}{path}")
    live(page)


def agent_row(page: Page, name: str) -> Any:
    """The row of an agent, on the page of all."""
    return page.locator(".agents tbody tr").filter(
        has=page.get_by_role("link", name=name, exact=True)
    )
