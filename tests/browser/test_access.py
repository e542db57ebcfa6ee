"""The pages for everybody: keyboard, screen reader, light and dark, phone to very wide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import WIDE
from tests.browser.dashboard import Running, Window, agent_row, until, visit
from tests.browser.geometry import faults
from tests.browser.vendored import AXE_FOLDER

pytestmark = pytest.mark.browser

AXE = Path(AXE_FOLDER / "axe.js").read_text(encoding="utf-8")
SIZES = ((1440, 900), (3840, 2160), (820, 1180), (390, 844), (320, 700))
_RUN = """async (place) => {
  const found = await axe.run(place, { resultTypes: ["violations"], preload: false });
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join("\\n  ")}`);
}"""
#: Names and texts that break pages: long, of other scripts and directions, with line breaks.
_LONG = "A" * 90
_ODD = "עברית \u202egnitirw\u202c\nsecond line " + "word " * 60
_BUILD = "b-odd" + "x" * 60
_TASK = "t-odd" + "y" * 60
_EXECUTION = "e-odd" + "z" * 60
_EVENTS: tuple[dict[str, Any], ...] = (
    {"entity": "agents", "after": {"id": "a-long", "name": _LONG, "role": "b" * 90}},
    {
        "entity": "builds",
        "after": {
            "id": _BUILD,
            "prdName": _ODD,
            "status": "failed",
            "error": _ODD * 20,
            "startedAt": "2099-01-01T00:00:00.000Z",
        },
    },
    {
        "entity": "tasks",
        "after": {
            "id": _TASK,
            "buildId": _BUILD,
            "agent": _LONG,
            "status": "failed",
            "title": _ODD,
            "error": "E" * 10_000,
        },
    },
    {"entity": "tasks", "after": {"id": "t-odd", "agent": "UNREGISTERED", "status": "done"}},
    {
        "entity": "executions",
        "after": {
            "id": _EXECUTION,
            "taskId": _TASK,
            "agent": _LONG,
            "duration": 1234,
            "timestamp": "2099-01-01T00:00:00.000Z",
            "prompt": _ODD,
            "response": "R" * 10_000,
        },
    },
)


#: An address of every kind of page, and what is on it once it is there.
PAGES = {
    "/": ".builds tbody tr",
    "/agents": ".agents tbody tr",
    "/agents?since=1d&sort=-p95Change": ".in-range tbody tr",
    f"/agents/{_LONG}": ".rows tbody tr",
    "/builds": ".builds tbody tr",
    f"/builds/{_BUILD}": "#tasks tbody tr",
    "/tasks": ".tasks tbody tr",
    f"/tasks/{_TASK}": "#error pre",
    "/executions": ".executions tbody tr",
    f"/executions/{_EXECUTION}": "#response pre",
    "/activity": ".activity tbody tr",
    "/users": ".users tbody tr, .empty",
    "/engagement": ".empty, .cohorts",
    "/jobs": ".jobs tbody tr",
    "/jobs/computeAgentStats": ".runs tbody tr",
    "/jobs/computeAgentStats/runs/{run}": ".facts",
    "/dead-letters": ".letters tbody tr",
    "/dead-letters/{letter}": "pre",
    "/alerts": "main [role=status]",
    "/stream": ".tile",
    "/trail": ".trail tbody tr",
    "/agents/NOBODY-HAS-THIS-NAME": ".missing",
}


@pytest.fixture(scope="module")
def odd(running: Running) -> Iterator[dict[str, int]]:
    """Rows with odd texts, and the numbers of a dead letter and of a run of a job."""
    running.publish(*_EVENTS)
    running.spoil("t-axe", b"no json")
    httpx.get(f"{running.url}/api/v1/overview", headers={"Authorization": "Bearer nobodys"})
    until(lambda: bool(running.call("GET", "/trail?refused=true")["items"]))
    run = running.call("POST", "/jobs/computeAgentStats/run")
    letters = "/dead-letters?state=open&limit=1"
    until(lambda: bool(running.call("GET", letters)["items"]))
    yield {"run": run["runId"], "letter": running.call("GET", letters)["items"][0]["id"]}
    running.publish(
        *({"entity": one["entity"], "op": "d", "before": one["after"]} for one in _EVENTS)
    )


def serious(page: Page, place: str = "html") -> list[str]:
    """What axe finds in ``place`` that is serious or critical."""
    found: list[str] = page.evaluate(_RUN, place)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path[:30])
def test_a_page_can_be_used_by_everybody_at_every_size(
    window: Window, odd: dict[str, int], path: str
) -> None:
    page = window.open(
        path.format(**odd), viewport=WIDE, color_scheme="dark", reduced_motion="reduce"
    )
    expect(page.locator(PAGES[path]).first).to_be_visible()
    found: dict[Any, list[str]] = {}
    page.evaluate(AXE)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        found[width] = faults(page)
    found["axe on a phone, dark"] = serious(page)
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    found["axe, light"] = serious(page)
    assert {place: told for place, told in found.items() if told} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_can_be_used_by_everybody(window: Window, scheme: Any) -> None:
    page = window.open("/jobs/healthCheck", color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(AXE)
    for opened in ("Run… healthCheck", "Search", "Token"):
        page.get_by_role("button", name=opened).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert serious(page, "dialog") == []
        page.keyboard.press("Escape")


def test_numbers_that_move_move_nothing_else(page: Page, running: Running) -> None:
    event = {"entity": "agents", "after": {"id": "a-steady", "name": "STEADY"}}
    running.publish(event)
    visit(page, "/agents")
    row = agent_row(page, "STEADY")
    places = "row => [...row.children].map(cell => cell.getBoundingClientRect().left)"
    before = row.evaluate(places)
    tasks = [
        {"entity": "tasks", "after": {"id": f"m-{n}", "agent": "STEADY", "status": "done"}}
        for n in range(1200)
    ]
    running.publish(*tasks)
    expect(row.locator(".col-totalTasks")).to_have_text("1,200")
    assert row.evaluate(places) == before


def test_sorting_with_the_keyboard_alone(page: Page) -> None:
    visit(page, "/agents")
    header = page.get_by_role("columnheader", name="Tasks")
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(header).to_have_attribute("aria-sort", "descending")
    # In one step, since rows may move while the page is looked at.
    column = """[...document.querySelectorAll(".agents td.col-totalTasks")]
        .map(cell => Number(cell.textContent.replaceAll(",", "")))"""
    counts = page.evaluate(column)
    assert counts == sorted(counts, reverse=True)
    page.keyboard.press("Space")
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert page.url.endswith("?sort=totalTasks")
    counts = page.evaluate(column)
    assert counts == sorted(counts)


def test_a_dialog_with_the_keyboard_alone(page: Page) -> None:
    visit(page, "/jobs")
    button = page.get_by_role("button", name="Run… healthCheck")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for _ in range(12):  # round and round, and never behind the dialog
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('main')")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_label("Dry run").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator(".page-heading")).to_contain_text("dry run")


def test_the_connection_is_told_to_screen_readers(page: Page) -> None:
    expect(page.locator("header [role=status]")).to_have_text("Live")
    page.context.set_offline(True)
    told = page.locator(".sr-only[role=alert]")
    expect(told).to_have_text("Connection lost")
    page.context.set_offline(False)
    expect(told).to_have_text("")
