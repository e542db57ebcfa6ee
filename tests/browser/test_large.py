"""A large platform on the page: 1,500 agents, 3,000 builds and 100,000 tasks, while 20 changes come
each second. ``-o log_cli=true -o log_cli_level=INFO`` shows the figures.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import stack
from tests.browser.dashboard import LIMIT, TOKEN, Running, live
from tests.browser.data_sets import publish_large
from tests.browser.large import SLOWER

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(600)]

FIRST_CONTENT_MS = 1000
LONG_TASK_MS = 200
SCRIPTS_BYTES = 200_000
#: How long a page is looked at.
LOOK_MS = 3000
#: A page that is slow is so each time; a machine that is busy with something else is not.
TRIES = 3

PATHS = {
    "overview": "/",
    "agents": "/agents",
    "agents in a range": "/agents?since=1d&sort=-p95Change",
    "agent": f"/agents/{SLOWER}?since=1d",
    "builds": "/builds",
    "build": "/builds/build-00003",
    "tasks": "/tasks",
    "task": "/tasks/task-000133",
    "executions": "/executions",
    "execution": "/executions/execution-000133",
    "activity": "/activity",
    "users": "/users",
    "engagement": "/engagement",
    "jobs": "/jobs",
    "stream": "/stream",
}

#: Notes the times of long tasks, and when the page first shows something of its own.
WATCH = """
window.seen = { longest: 0, shown: null };
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration);
}).observe({ type: "longtask", buffered: true });
new MutationObserver(() => {
  const own = "main :is(tbody tr, dd, section), main .empty:not([aria-busy])";
  if (seen.shown === null && document.querySelector(own)) seen.shown = performance.now();
}).observe(document, { childList: true, subtree: true });
"""
FIGURES = """() => ({
  paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
  shown: seen.shown,
  longest: seen.longest,
  scripts: performance.getEntriesByType("resource")
    .filter((entry) => new URL(entry.name).pathname.endsWith(".js"))
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0),
})"""


@pytest.fixture(scope="module")
def large(
    nova_kafka: str, nova_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("large")
    with stack(nova_kafka, nova_postgres, folder) as found:
        publish_large(found, folder / "changes.jsonl")
        yield found


@pytest.fixture
def fresh(chromium: Browser, large: Running) -> Iterator[Page]:
    """A browser with a token and nothing in its cache."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(LIMIT)
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(f"{large.url}/docs")  # the same origin, none of the dashboard's files
    page.evaluate("token => localStorage.setItem('nova-token', token)", TOKEN)
    yield page
    context.close()


def look(page: Page, address: str) -> dict[str, float]:
    """The figures of a visit."""
    page.goto(address)
    live(page)
    page.wait_for_timeout(LOOK_MS)
    figures: dict[str, float] = page.evaluate(FIGURES)
    return figures


def is_fast(figures: dict[str, float]) -> bool:
    first = max(figures["paint"], figures["shown"])
    return first < FIRST_CONTENT_MS and figures["longest"] <= LONG_TASK_MS


@pytest.mark.parametrize("name", PATHS)
def test_a_page_is_there_at_once_and_never_stands_still(
    fresh: Page, large: Running, name: str
) -> None:
    found: list[dict[str, float]] = []
    while len(found) < TRIES and not (found and is_fast(found[-1])):
        found.append(look(fresh, f"{large.url}{PATHS[name]}"))
    for figures in found:
        logging.info("%s %s", name, {key: round(value) for key, value in figures.items()})
    assert is_fast(found[-1]), found
    # Of the first visit: later ones have them in the cache.
    assert 50_000 < found[0]["scripts"] < SCRIPTS_BYTES
