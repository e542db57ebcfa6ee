"""Finding something: search, keys, ranges of time, and files of what is seen."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Running, visit

pytestmark = pytest.mark.browser


def test_search_leads_to_what_is_meant(page: Page, running: Running) -> None:
    build = {"id": "b-found-1", "prdName": "Quiet lantern", "status": "running"}
    running.publish({"entity": "builds", "after": build})
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name=re.compile("Agents, builds"))
    field.fill("b-found")
    options = page.locator("#found").get_by_role("option")
    expect(options.first).to_contain_text("Quiet lantern")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Quiet lantern")
    assert page.url.endswith("/builds/b-found-1")
    page.keyboard.press("Control+k")
    field.fill("mar")
    expect(options.filter(has_text="MARS").first).to_be_visible()
    expect(options.nth(1)).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    running.publish({"entity": "builds", "op": "d", "before": build})


def test_keys_go_through_pages_and_rows(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page.locator(".agents tbody tr").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator(".agents tbody th a").nth(1)
    expect(second).to_be_focused()
    name = second.inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(name)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("g b")


def test_what_is_seen_is_saved(page: Page, tmp_path: Path) -> None:
    visit(page, "/agents?q=MARS")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "agents.csv")
    with (tmp_path / "agents.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert row["agentName"] == "MARS"
    assert int(row["totalTasks"]) >= 0


def test_a_range_of_time_goes_from_all_agents_to_one(page: Page) -> None:
    visit(page, "/agents")
    page.get_by_role("combobox", name="Time").select_option("Last hour")
    expect(page.get_by_role("columnheader", name=re.compile(r"^\W*p95$"))).to_be_visible()
    page.locator(".agents").get_by_role("link", name="MARS", exact=True).click()
    expect(page.locator("#over-time canvas")).to_be_visible()
    assert page.url.endswith("/agents/MARS?since=1h")
    page.reload()
    expect(page.get_by_role("combobox", name="Time")).to_have_value("1h")
