"""Every list: read in both directions, filtered, saved, and gone through by keys."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from nova_stream.clock import isoformat, system_clock
from nova_stream.settings import load_settings
from nova_stream.storage.database import connect
from tests.browser.dashboard import Running, Window, until, visit

pytestmark = pytest.mark.browser

#: More than a page of each; nothing of them is open, so that nothing else counts them.
FILL = """
INSERT INTO alerts (kind, subject, message, began_at, ended_at)
SELECT 'slow', 'healthCheck', 'list line ' || n, now() - interval '3 days', now()
FROM generate_series(1, 130) n;
INSERT INTO job_runs (job, kind, outcome, scheduled_at)
SELECT 'refreshBuildStats', 'manual', 'failed', now() - interval '3 days' - n * interval '1 s'
FROM generate_series(1, 130) n;
INSERT INTO dead_letters
    (topic, partition, "offset", key, value, headers, reason, message, state)
SELECT 'lists', 0, n, '\\x74', '\\x00', '[]', 'bad_json', 'list line ' || n, 'discarded'
FROM generate_series(1, 130) n;
INSERT INTO audit_trail (at, until, requests, token, action, object, outcome, refused)
SELECT now(), now(), 1, 'lists', 'jobs run', 'list line ' || n, 'done', false
FROM generate_series(1, 130) n
"""
ROW = "main :is(tbody tr, .feed > li)"
#: How high rows are is known once they were seen, so that the end moves on the way to it.
TO_THE_END = """() => {
  document.querySelector("main .scroll").scrollTo(0, 1e6);
  return !document.querySelector("main tbody tr:last-child.gap");
}"""
#: Addresses of 130 rows each.
LISTS = [
    "/alerts?open=false&kind=slow&q=list+line",
    "/jobs/refreshBuildStats?outcome=failed",
    "/dead-letters?state=discarded&topic=lists",
    "/trail?token=lists",
]
#: Pages with a list, where something is seen at once.
SAVED = ["/agents", "/builds", "/tasks", "/executions", "/activity", "/jobs", *LISTS]


@pytest.fixture(scope="module", autouse=True)
def _filled(running: Running) -> None:
    async def fill() -> None:
        settings = load_settings(database_url=running.environment["NOVA_DATABASE_URL"])
        connection = await connect(settings, "test")
        try:
            await connection.execute(FILL)
        finally:
            await connection.close()

    # A thread of its own: Playwright has a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(fill())).result()


def rows(page: Page) -> list[str]:
    expect(page.locator(ROW).first).to_be_visible()
    return page.locator(ROW).all_inner_texts()


@pytest.mark.parametrize("address", LISTS)
def test_a_list_goes_on_and_back(page: Page, address: str) -> None:
    visit(page, address)
    expect(page.locator(ROW)).to_have_count(100)
    first = page.locator(ROW).first.inner_text()
    page.keyboard.press("n")
    expect(page.locator(ROW)).to_have_count(30)
    assert "cursor=" in page.url
    page.reload()
    expect(page.locator(ROW)).to_have_count(30)
    expect(page.get_by_text("This is the last page.")).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator(ROW)).to_have_count(100)
    assert page.locator(ROW).first.inner_text().split("\n")[0] == first.split("\n")[0]
    page.get_by_role("link", name="Next").click()
    expect(page.locator(ROW)).to_have_count(30)
    page.get_by_role("link", name="First page").click()
    expect(page.locator(ROW)).to_have_count(100)
    assert "cursor=" not in page.url


@pytest.mark.parametrize("address", LISTS)
def test_a_range_of_time_is_part_of_the_address(page: Page, address: str) -> None:
    visit(page, address)
    expect(page.locator(ROW)).to_have_count(100)
    page.get_by_role("combobox", name="Time").select_option("Last 7 days")
    expect(page.locator(ROW)).to_have_count(100)
    assert "since=7d" in page.url
    assert address.split("?")[1].split("&", maxsplit=1)[0] in page.url
    if address.startswith(("/alerts", "/jobs")):  # which are three days old
        page.get_by_role("combobox", name="Time").select_option("Last hour")
        expect(page.get_by_text("with these filters.")).to_be_visible()


@pytest.mark.parametrize("address", SAVED)
def test_what_is_seen_is_saved_in_both_forms(page: Page, tmp_path: Path, address: str) -> None:
    visit(page, address)
    expect(page.locator(ROW).first).to_be_visible()
    saved: dict[str, Any] = {}
    for form in ("CSV", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("group", name="Save these").get_by_role("button", name=form).click()
        download.value.save_as(tmp_path / form)
        assert download.value.suggested_filename.endswith(f".{form.lower()}")
    with (tmp_path / "CSV").open(encoding="utf-8", newline="") as file:
        saved["CSV"] = list(csv.DictReader(file))
    saved["JSON"] = json.loads((tmp_path / "JSON").read_text(encoding="utf-8"))
    assert saved["CSV"]
    assert saved["JSON"]
    if address in LISTS:
        assert len(saved["CSV"]) == len(saved["JSON"]) == 100


@pytest.mark.parametrize("address", [one for one in SAVED if not one.startswith("/trail")])
def test_keys_go_from_row_to_row_and_open_one(page: Page, address: str) -> None:
    visit(page, address)
    expect(page.locator(ROW).first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    focused = page.locator(f"{ROW} a:focus")
    expect(focused).to_have_count(1)
    before = page.url
    page.keyboard.press("Enter")
    until(lambda: page.url != before)


def test_executions_are_filtered_by_their_status(page: Page, running: Running) -> None:
    # Newer than all others: a page looks through so many rows, and then the next one goes on.
    given = {"agent": "MARS", "timestamp": isoformat(system_clock())}
    made = [
        {"entity": "executions", "after": {"id": f"e-list-{n}", "error": error, **given}}
        for n, error in enumerate(["it broke", None])
    ]
    running.publish(*made)
    visit(page, "/executions?q=e-list-")
    expect(page.locator(ROW)).to_have_count(2)
    choice = page.get_by_role("group", name="Executions of which status")
    choice.get_by_role("button", name="Failed").click()
    expect(page.locator(ROW)).to_have_count(1)
    expect(page.locator(ROW)).to_contain_text("it broke")
    assert "status=failed" in page.url
    choice.get_by_role("button", name="Succeeded").click()
    expect(page.locator(ROW)).to_contain_text("e-list-1")
    for change in made:
        running.publish({"entity": "executions", "op": "d", "before": change["after"]})


def test_a_long_table_has_its_rows_on_a_phone(window: Window) -> None:
    def answer(route: Route) -> None:
        answered = route.fetch()
        told = answered.json()
        name = told["items"][0]["agentName"]
        many = [{**told["items"][0], "agentName": f"{name}-{number:03}"} for number in range(200)]
        route.fulfill(response=answered, json={**told, "items": many})

    page = window.open(viewport={"width": 390, "height": 844})
    page.route("**/api/v1/agents/stats?*", answer)
    visit(page, "/agents?since=1d")
    expect(page.locator("main tbody tr:not(.gap)").first).to_be_visible()
    assert page.locator("main tbody tr").count() < 200
    page.wait_for_function(TO_THE_END)
    expect(page.locator("main tbody tr").last).to_contain_text("-199")
    page.unroute_all(behavior="wait")


@pytest.mark.parametrize(
    "viewport", [{"width": 1440, "height": 900}, {"width": 390, "height": 844}]
)
def test_a_click_anywhere_in_a_row_opens_it(
    window: Window, running: Running, viewport: Any
) -> None:
    task = {"id": "row/clicked", "buildId": "b-row", "agent": "ROW", "status": "running"}
    running.publish({"entity": "tasks", "after": {**task, "title": "Click the row"}})
    page = window.open("/tasks?agent=ROW", viewport=viewport)
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)

    # A text that is selected stays selected, and a control does what it is for.
    name = row.locator(".name .role")
    name.evaluate("(text) => getSelection().selectAllChildren(text)")
    name.dispatch_event("click")
    expect(page).to_have_url(re.compile("/tasks[?]agent=ROW$"))
    assert page.evaluate("String(getSelection())") == "row/clicked"
    page.evaluate("getSelection().empty()")
    row.get_by_role("link", name="b-row").click()
    expect(page).to_have_url(re.compile("/builds/b-row$"))
    page.go_back()

    with page.context.expect_page() as opened:
        row.locator(".col-createdAt").click(modifiers=["Control"])
    expect(opened.value.locator("h1")).to_have_text("Click the row")
    expect(page).to_have_url(re.compile("/tasks[?]agent=ROW$"))
    row.locator(".col-createdAt").click()
    expect(page).to_have_url(re.compile("/tasks/row%2Fclicked$"))
    page.go_back()
    page.keyboard.press("j")
    expect(row.locator("th a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/tasks/row%2Fclicked$"))


def test_controls_in_rows_and_rows_that_lead_nowhere_open_nothing(window: Window) -> None:
    page = window.open("/jobs")
    row = page.locator("[data-job=healthCheck]")
    row.get_by_role("button", name="Pause").click()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("/jobs$"))
    visit(page, "/agents")
    figure = page.locator(".agents tbody tr").first.locator(".col-failedTasks")
    figure.click()
    expect(page).to_have_url(re.compile("figure=failedTasks$"))
    visit(page, "/trail?token=lists")
    page.locator("tbody td").first.click()
    expect(page).to_have_url(re.compile("/trail[?]token=lists$"))
