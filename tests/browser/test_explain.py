"""A figure leads to the rows that it is made of, and to the event that last changed it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Running, agent_row, visit

pytestmark = pytest.mark.browser

_AGENT = {"entity": "agents", "after": {"id": "a-still", "name": "STILL/LIFE", "role": "tests"}}


@pytest.fixture
def page(page: Page, running: Running) -> Iterator[Page]:
    """The page with an agent that nobody else changes: 130 tasks, three of them failed."""
    tasks = [
        {
            "entity": "tasks",
            "after": {
                "id": f"s-{n}",
                "agent": "STILL/LIFE",
                "status": "failed" if n < 3 else "done",
            },
        }
        for n in range(130)
    ]
    running.publish(_AGENT, *tasks)
    visit(page, "/agents")
    yield page
    gone = [{"entity": "tasks", "op": "d", "before": task["after"]} for task in tasks]
    running.publish({"entity": "agents", "op": "d", "before": {"id": "a-still"}}, *gone)


def test_the_rows_match_the_number(page: Page) -> None:
    row = agent_row(page, "STILL/LIFE")
    expect(row.locator(".col-totalTasks")).to_have_text("130")
    row.get_by_role("link", name="STILL/LIFE").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("STILL/LIFE")
    expect(page.locator(".big")).to_have_text("130")
    rows = page.locator(".rows tbody tr")
    expect(rows).to_have_count(100)
    expect(rows.first).to_contain_text(".tasks / ")
    page.get_by_role("link", name="Next").click()
    expect(rows).to_have_count(30)
    page.go_back()
    expect(rows).to_have_count(100)


def test_a_figure_that_is_clicked_opens_with_its_rows(page: Page) -> None:
    agent_row(page, "STILL/LIFE").locator(".col-failedTasks").click()
    expect(page.locator(".big")).to_have_text("3")
    expect(page.locator(".rows tbody tr")).to_have_count(3)
    assert page.url.endswith("/agents/STILL%2FLIFE?figure=failedTasks")
    page.reload()
    expect(page.locator(".big")).to_have_text("3")
    page.get_by_role("button", name="Success").click()
    expect(page.locator(".big")).to_have_text("97.69 %")
    expect(page.get_by_role("button", name="Success")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("narrow", [False, True])
def test_attempts_say_that_they_are_counted_from_activities(page: Page, narrow: bool) -> None:
    if narrow:
        page.set_viewport_size({"width": 390, "height": 844})
        cell = agent_row(page, "STILL/LIFE").locator(".history")
        expect(cell).to_have_attribute("data-label", "Attempts, 12 h, from activities")
    else:
        expect(page.locator("thead th.history")).to_contain_text("from activities")
    # 130 tasks have ended, and no activity tells of one.
    attempts = "counted from activities: 0 succeeded, 0 failed"
    expect(agent_row(page, "STILL/LIFE").get_by_role("img")).to_have_accessible_name(
        f"Attempts of the last 12 hours, {attempts}"
    )
    agent_row(page, "STILL/LIFE").get_by_role("link").click()
    page.locator(".card").get_by_role("link", name="activities").click()
    expect(page.get_by_label("Agent", exact=True)).to_have_value("STILL/LIFE")
