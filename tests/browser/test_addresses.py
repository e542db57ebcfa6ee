"""What is looked at stands in the address: back, reload and another tab show it again."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import WIDE
from tests.browser.dashboard import TOKEN, Running, Window, live, until, visit

pytestmark = pytest.mark.browser

TABS = {
    "/": "Overview",
    "/agents": "Agents",
    "/agents/MARS": "Agents",
    "/builds": "Builds",
    "/activity": "Activity",
    "/engagement": "Engagement",
    "/jobs": "Jobs",
    "/jobs/healthCheck": "Jobs",
    "/dead-letters": "Dead letters",
    "/alerts": "Alerts",
    "/stream": "Stream",
    "/trail": "Audit trail",
}


def test_every_page_lights_up_its_tab_and_takes_the_focus(page: Page) -> None:
    for path, tab in TABS.items():
        visit(page, path)
        current = page.locator(".top nav [aria-current]")
        expect(current).to_have_count(1)
        expect(current).to_contain_text(tab)
    page.locator(".top nav").get_by_role("link", name="Builds").click()
    expect(page.locator("h1")).to_be_focused()
    # A number before it is that of the alerts that are open, which a busy machine may have.
    expect(page).to_have_title(re.compile(r"^(\(\d+\) )?Builds – nova-stream$"))


def test_filters_and_order_survive_reload_back_and_another_tab(page: Page) -> None:
    visit(page, "/agents")
    page.get_by_label("Name or role").fill("mar")
    page.get_by_role("columnheader", name="Done").get_by_role("button").click()
    rows = page.locator(".agents tbody tr")
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Name or role")).to_have_value("mar")
    expect(page.get_by_role("columnheader", name="Done")).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_role("link", name="MARS", exact=True).click()
    expect(page.locator("h1")).to_have_text("MARS")
    page.go_back()
    expect(rows).to_have_count(1)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".agents tbody tr")).to_have_count(1)


def test_a_list_can_be_gone_through_to_its_end(window: Window, running: Running) -> None:
    builds = [
        {
            "entity": "builds",
            "after": {
                "id": f"page-{n:03}",
                "prdName": f"Page {n}",
                "status": "completed",
                "startedAt": f"2001-01-01T00:{n // 60:02}:{n % 60:02}.000Z",
            },
        }
        for n in range(250)
    ]
    running.publish(*builds)
    page = window.open("/builds?status=completed", viewport=WIDE)
    seen: list[str] = []
    following = page.get_by_role("link", name="Next")
    links = page.locator(".builds tbody th a")
    while True:
        expect(page.locator(".pager")).to_be_visible()
        # By address: other builds may have one name.
        here = links.evaluate_all("all => all.map(link => link.getAttribute('href'))")
        assert not set(here) & set(seen)
        seen += here
        if not following.count():
            break
        address = page.url
        following.click()
        expect(page).not_to_have_url(address)
        expect(page.locator(f'.builds tbody th a[href="{here[-1]}"]')).to_have_count(0)
    assert {f"/builds/page-{n:03}" for n in range(250)} <= set(seen)
    page.get_by_role("link", name="Previous").click()
    expect(links.last).to_be_visible()
    end = links.last.inner_text()
    page.reload()
    expect(links.last).to_have_text(end)
    running.publish(
        *({"entity": "builds", "op": "d", "before": build["after"]} for build in builds)
    )


def test_what_is_not_there_is_told(page: Page, running: Running) -> None:
    for path, told in {
        "/agents/NOBODY": "No registered agent has this name.",
        "/builds/none": "No build has this ID.",
        "/jobs/none": "No job has this name.",
        "/jobs/healthCheck/runs/999999": "healthCheck has no run with this number.",
        "/dead-letters/999999": "No dead letter has this number.",
    }.items():
        visit(page, path)
        expect(page.locator("main .missing")).to_contain_text(told)
    assert httpx.get(f"{running.url}/nothing/here").status_code == 404


@pytest.mark.parametrize("name", ["..", ".", "a/b", "%2e", "x?y#z", "ü 😀"])
def test_an_agent_of_any_name_has_an_address(page: Page, running: Running, name: str) -> None:
    running.publish({"entity": "agents", "after": {"id": "a-any", "name": name}})
    visit(page, "/agents")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator(".cards")).to_be_visible()
    page.reload()
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator(".cards")).to_be_visible()
    running.publish({"entity": "agents", "op": "d", "before": {"id": "a-any"}})


def test_thousands_of_agents_make_no_long_page(window: Window, running: Running) -> None:
    row: dict[str, Any] = running.call("GET", "/agents/stats?limit=1")["items"][0]
    rows = [
        {**row, "agentId": f"many-{n}", "agentName": f"AGENT-{n:04}", "totalTasks": n}
        for n in range(1500)
    ]

    def many(route: Route) -> None:
        route.fulfill(json={"items": rows, "nextCursor": None})

    page = window.open(token="", viewport=WIDE)
    page.route("**/api/v1/stream", lambda route: route.abort())
    page.route("**/api/v1/agents/stats*", many)
    page.goto(f"{running.url}/agents#token={TOKEN}")
    page.reload()
    live(page)
    seen = page.locator(".agents tbody tr:not(.gap)")
    expect(seen.first).to_contain_text("AGENT-0000")
    assert seen.count() < 80
    assert page.evaluate("document.documentElement.scrollHeight") < 2500
    page.get_by_role("region", name="Agents").focus()
    last = page.get_by_role("link", name="AGENT-1499")

    def is_at_the_end() -> bool:
        page.keyboard.press("End")  # the box grows as rows turn out to be higher than was thought
        seen_whole = "found => found.getBoundingClientRect().bottom <= innerHeight"
        return bool(last.count() and last.evaluate(seen_whole))

    until(is_at_the_end)
    expect(last).to_be_in_viewport()
    assert seen.count() < 80
    page.get_by_role("columnheader", name="Tasks").get_by_role("button").click()
    page.keyboard.press("Home")
    expect(seen.first).to_contain_text("AGENT-1499")
    expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", "1501")
