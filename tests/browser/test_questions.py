"""Questions that people come with, answered by clicks alone."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Running, until, visit
from tests.browser.data_sets import execute, in_a_thread

pytestmark = pytest.mark.browser

#: A line of the ledger, due so many hours ago.
RUN = """
INSERT INTO job_runs
    (job, kind, slot, outcome, late, scheduled_at, started_at, ended_at, result, counts, error)
SELECT $1, CASE WHEN $3 = 'manual' THEN 'manual' ELSE 'slot' END,
    CASE WHEN $3 <> 'manual' THEN at END, $3, $3 = 'late', at, at, at, $4::json, $4::json, $5
FROM (SELECT date_trunc('minute', now()) - make_interval(hours => $2::int) AS at) t
"""
NARROW: Any = {"width": 390, "height": 844}


def change(entity: str, **document: Any) -> dict[str, Any]:
    return {"entity": entity, "op": "c", "after": document}


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="milliseconds")


def test_why_a_build_failed(page: Page, running: Running) -> None:
    build = {"id": "asked-why", "prdId": "p", "prdName": "Asked why", "startedAt": hours_ago(1)}
    ended = {"status": "failed", "completedAt": hours_ago(0), "error": "a task was lost"}
    tasks = [
        change("tasks", id=f"why-{n:03}", buildId="asked-why", status="done", phase=1, agent="MARS")
        for n in range(110)
    ]
    lost: dict[str, Any] = {
        "id": "why-lost",
        "buildId": "asked-why",
        "title": "The lost one",
        "agent": "MARS",
    }
    lost |= {"status": "failed", "phase": 2, "error": "merge conflict in 2 files"}
    running.publish(change("builds", **build, **ended), *tasks, change("tasks", **lost))

    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Builds").click()
    page.get_by_role("button", name="Failed", exact=True).click()
    page.get_by_role("link", name="Asked why").click()
    # It is on the second page of the build's tasks.
    failed = page.locator("#failed tbody tr")
    expect(failed).to_have_count(1)
    expect(failed).to_contain_text("merge conflict in 2 files")
    expect(page.locator("#tasks")).not_to_contain_text("The lost one")
    failed.get_by_role("link", name="The lost one").click()
    expect(page.locator("#error")).to_contain_text("merge conflict in 2 files")


def test_why_a_build_failed_whose_tasks_do_not_say_it(page: Page, running: Running) -> None:
    build = {"id": "untold", "prdId": "p", "prdName": "Untold why", "startedAt": hours_ago(1)}
    task = {"id": "untold-task", "buildId": "untold", "title": "Says nothing", "agent": "MARS"}
    run = {"taskId": "untold-task", "agent": "MARS", "duration": 5}
    running.publish(
        change("builds", **build, status="failed", completedAt=hours_ago(0)),
        change("tasks", **task, status="failed"),
        change("executions", **run, id="untold-1", timestamp=hours_ago(2), error="an old error"),
        change("executions", **run, id="untold-2", timestamp=hours_ago(1), error="out of memory"),
    )
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Builds").click()
    page.get_by_role("link", name="Untold why").click()
    failed = page.locator("#failed tbody tr")
    expect(failed).to_contain_text("out of memory")
    expect(failed).not_to_contain_text("an old error")
    expect(page.locator("#tasks tbody tr")).to_contain_text("out of memory")
    failed.get_by_role("link", name="untold-2").click()
    expect(page).to_have_url(re.compile(r"/executions/untold-2$"))
    expect(page.locator("#error pre")).to_have_text("out of memory")


def test_which_agent_got_slower_and_in_which_executions(page: Page, running: Running) -> None:
    name = "SLOWER-TODAY"
    durations = [("then", 30, 10), ("now-short", 2, 20), ("now-longest", 3, 90_000)]
    executions = [
        change("executions", id=id_, agent=name, duration=duration, timestamp=hours_ago(hours))
        for id_, hours, duration in durations
    ]
    running.publish(change("agents", id="slower-today", name=name), *executions)

    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Agents").click()
    page.get_by_label("Time").select_option("Last day")
    page.get_by_role("button", name="Change of p95").click()
    first = page.locator(".in-range tbody tr").first
    expect(first).to_contain_text(name)
    expect(first.locator(".col-p95Change")).to_contain_text("+899,900 %")
    expect(first.locator(".col-p95Change")).to_contain_text("was 10 ms")
    first.get_by_role("link", name=name).click()
    slowest = page.locator("#slowest")
    expect(slowest.locator(".compared")).to_contain_text("1 min 30 s, against 10 ms")
    expect(slowest.locator("tbody th")).to_have_text(["now-longest", "now-short"])
    slowest.get_by_role("link", name="now-longest").click()
    expect(page.locator("h1")).to_have_text("Execution now-longest")


@pytest.mark.parametrize("viewport", [None, NARROW])
def test_whether_the_jobs_ran_and_what_they_did(
    page: Page, running: Running, viewport: Any
) -> None:
    run = running.call("POST", "/jobs/markInactiveUsers/run", json={})["runId"]
    path = f"/jobs/markInactiveUsers/runs/{run}"
    until(lambda: running.call("GET", path)["state"] == "ended")
    if viewport:
        page.set_viewport_size(viewport)
    visit(page, "/jobs")
    row = page.locator("[data-job=markInactiveUsers]")
    expect(row.locator(".col-did")).to_contain_text("users inactive:")
    expect(row.locator(".col-ended")).to_contain_text("by hand")
    row.locator(".col-ended").get_by_role("link").click()
    expect(page.locator(".did")).to_contain_text("users inactive:")
    expect(page.locator(".facts")).to_contain_text("Ended")
    # The way here stands above the title, and nothing after it.
    after = "all => all.map((one) => getComputedStyle(one, '::after').content)"
    assert page.locator(".crumbs > span").evaluate_all(after) == ['"/"', "none"]
    page.get_by_role("link", name="markInactiveUsers").click()
    expect(page.locator(f"[data-run='{run}']")).to_contain_text("users inactive:")


@pytest.mark.parametrize("viewport", [None, NARROW])
def test_whether_last_nights_jobs_ran_on_one_page(
    page: Page, running: Running, viewport: Any
) -> None:
    job = "nightWatch" if viewport else "lateWatch"  # no job of the platform: it makes no alert
    lines = [
        (job, 30, "failed", None, "of the night before"),
        (job, 8, "ok", '{"seen": 7}', None),
        (job, 7, "failed", None, "the door was open"),
        (job, 6, "late", '{"seen": 5}', None),
        (job, 5, "missed", None, None),
        (job, 4, "manual", '{"seen": 1}', None),
    ]
    for line in lines:
        in_a_thread(execute(running, RUN, *line))
    if viewport:
        page.set_viewport_size(viewport)
    visit(page, "/jobs")
    page.get_by_role("link", name="Runs of all jobs").click()
    summed = page.locator(f"#summary [data-job={job}]")
    expect(summed.locator(".status")).to_have_text("1 went wrong, 1 missed")
    for column, shown in [
        ("wentWell", "2"),
        ("wentWrong", "1"),
        ("missed", "1"),
        ("skipped", "0"),
        ("byHand", "1 went well"),
        ("did", "seen 1"),
    ]:
        expect(summed.locator(f".col-{column}")).to_have_text(shown)
    expect(page.locator("#summary [data-job=compactOldExecutions]")).to_be_visible()
    expect(page.locator("#summary .note").first).to_contain_text("went wrong or were missed")

    summed.get_by_role("link", name=job).click()
    expect(page).to_have_url(re.compile(f"[?&]job={job}"))
    rows = page.locator("#runs tbody tr")
    told = rows.locator(".col-result")
    expect(told).to_have_text(["seen 1", "Nobody ran it", "seen 5", "the door was open", "seen 7"])
    expect(rows.locator(".col-how")).to_have_text(
        ["by hand", "on schedule", "caught up", "on schedule", "on schedule"]
    )
    ended = rows.locator(".col-ended")
    expect(ended).to_have_text(["went well", "missed", "went well", "went wrong", "went well"])
    for height in ended.evaluate_all("all => all.map((one) => one.firstElementChild.offsetHeight)"):
        assert height < 30  # on one line
    # How it was started does not decide how it ended.
    page.get_by_role("button", name="Went well").click()
    expect(told).to_have_text(["seen 1", "seen 5", "seen 7"])
    how = page.locator("#runs .filter", has_text="by hand").locator("select")
    how.select_option("by hand")
    expect(told).to_have_text(["seen 1"])
    how.select_option("All")
    page.get_by_role("button", name="Went wrong").click()
    expect(rows.locator(".col-result")).to_have_text(["the door was open"])
    page.get_by_label("Time").select_option("Last 7 days")
    expect(rows).to_have_count(2)
    page.reload()
    expect(rows).to_have_count(2)
    rows.first.locator("th").get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/jobs/{job}/runs/"))


def test_a_run_leads_to_the_builds_that_it_names(page: Page, running: Running) -> None:
    id_ = "stalled / for long?"
    running.publish(change("builds", id=id_, prdId="p", status="running", startedAt=hours_ago(9)))
    run = running.call("POST", "/jobs/checkStalledBuilds/run", json={})["runId"]
    path = f"/jobs/checkStalledBuilds/runs/{run}"
    until(lambda: running.call("GET", path)["state"] == "ended", limit=40)
    visit(page, path)
    result = page.locator("#result pre")
    assert json.loads(result.inner_text()) == running.call("GET", path)["result"]
    result.get_by_role("link", name=f'"{id_}"').click()
    expect(page.locator(".facts")).to_contain_text(id_)
    expect(page.locator("#error")).to_contain_text("Build stalled")


def test_the_tile_of_active_tasks_leads_to_those_that_it_counts(
    page: Page, running: Running
) -> None:
    task = {"buildId": "tile", "agent": "TILE"}
    statuses = ("pending", "ready", "running", "done", "failed", "blocked")
    running.publish(*(change("tasks", id=f"tile-{s}", status=s, **task) for s in statuses))
    page.get_by_role("link", name="Active tasks").click()
    active = page.get_by_role("group", name="Tasks of which status").get_by_role(
        "button", name="Active"
    )
    expect(active).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Agent").fill("TILE")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.locator(".status")).to_have_text(["running", "ready", "pending"])


def test_what_is_wrong_is_told_whole_on_a_phone(page: Page) -> None:
    page.set_viewport_size(NARROW)
    visit(page, "/jobs")
    said = """() => {
      const [state, text] = ["state", "state-text"].map((id) => document.getElementById(id));
      document.body.dataset.state = state.dataset.state = "old";
      text.textContent = "No worker runs";
      return [text.scrollWidth, text.clientWidth];
    }"""
    wanted, shown = page.evaluate(said)
    assert wanted <= shown
