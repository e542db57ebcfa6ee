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
    """A build that is to be on the first page started 0 hours ago: in five minutes the demo tells
    of a hundred newer ones.
    """
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="milliseconds")


def test_why_a_build_failed(page: Page, running: Running) -> None:
    build = {"id": "asked-why", "prdId": "p", "prdName": "Asked why", "startedAt": hours_ago(0)}
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
    build = {"id": "untold", "prdId": "p", "prdName": "Untold why", "startedAt": hours_ago(0)}
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


def slower_agent(running: Running, name: str) -> None:
    """An agent that took 10 ms yesterday; of today's 30 executions 7 took longer."""
    durations = [*([10] * 30), *([9] * 23), *(100 * n for n in range(1, 7)), 90_000]
    executions = [
        change(
            "executions",
            id=f"{name}-{number}",
            agent=name,
            duration=duration,
            timestamp=hours_ago(30 if number < 30 else 2),
        )
        for number, duration in enumerate(durations)
    ]
    running.publish(change("agents", id=name.lower(), name=name), *executions)


@pytest.mark.parametrize("viewport", [None, NARROW])
def test_which_agent_got_slower_and_in_which_executions(
    page: Page, running: Running, viewport: Any
) -> None:
    name = "SLOWER-NARROW" if viewport else "SLOWER-TODAY"
    slower_agent(running, name)
    few = [
        change("executions", id=f"few-{n}", agent="FEW-TODAY", duration=d, timestamp=hours_ago(h))
        for n, (d, h) in enumerate([(1, 30), (10**9, 2)])
    ]
    running.publish(change("agents", id="few-today", name="FEW-TODAY"), *few)
    if viewport:
        page.set_viewport_size(viewport)

    visit(page, "/")
    panel = page.locator("#slower tbody tr", has_text=name)
    expect(panel).to_contain_text("+5,900 %")
    expect(panel).to_contain_text("30 → 30")
    expect(page.locator("#slower")).not_to_contain_text("FEW-TODAY")
    panel.get_by_role("link", name=name).click()

    slowest = page.locator("#slowest")
    expect(slowest.locator(".compared")).to_contain_text(
        "p95 was 10 ms the day before (30 executions), now 600 ms: +5,900 %"
    )
    expect(slowest.locator(".compared")).to_contain_text(
        "7 of 30 executions took longer than the p95 before."
    )
    longest = [f"{name}-{number}" for number in (59, 58, 57, 56, 55, 54, 53)]
    expect(slowest.locator("tbody th")).to_have_text(longest)
    slowest.get_by_role("link", name="All 7 that took longer, longest first").click()
    expect(page).to_have_url(re.compile(rf"agent={name}&from=.*&to=.*&minDuration=11&order="))
    expect(page.locator("main tbody th")).to_have_text(longest)
    expect(page.get_by_text("7 in all")).to_be_visible()
    page.get_by_role("link", name=longest[0]).click()
    expect(page.locator("h1")).to_have_text(f"Execution {longest[0]}")


def test_agents_are_sorted_by_what_got_slower_and_few_executions_come_last(
    page: Page, running: Running
) -> None:
    slower_agent(running, "SLOWER-LISTED")
    few = [
        change("executions", id=f"rare-{n}", agent="RARELY", duration=d, timestamp=hours_ago(h))
        for n, (d, h) in enumerate([(1, 30), (10**9, 2)])
    ]
    running.publish(change("agents", id="rarely", name="RARELY"), *few)
    for path in ("/agents", "/agents?since=1d"):
        visit(page, path)
        cell = page.locator("tr", has_text="SLOWER-LISTED").locator(".col-p95Change")
        expect(cell).to_contain_text("+5,900 %")
        expect(cell).to_contain_text("10 ms → 600 ms")
        expect(cell).to_contain_text("30 → 30 executions")
        page.get_by_role("button", name="Change of p95").click()
        expect(page).to_have_url(re.compile("sort=-p95Change"))
        rows = page.locator("main tbody tr")
        expect(rows.first).to_contain_text("+5,900 %")
        expect(page.locator("tr", has_text="RARELY")).to_contain_text("few: 1 → 1 executions")
        names = rows.locator("th").all_inner_texts()
        order = [n for n in names if n.startswith(("SLOWER-LISTED", "RARELY"))]
        assert [n.split()[0] for n in order] == ["SLOWER-LISTED", "RARELY"]


def test_executions_are_sorted_by_duration_once_an_agent_and_a_time_are_chosen(
    page: Page, running: Running
) -> None:
    slower_agent(running, "SLOWER-SORTED")
    visit(page, "/executions")
    page.get_by_role("button", name="Duration").click()
    expect(page.locator("main .empty")).to_contain_text("name the agent and choose a time")
    page.get_by_label("Agent").fill("SLOWER-SORTED")
    page.get_by_label("Time").select_option("Since yesterday")
    rows = page.locator("main tbody th")
    expect(rows.first).to_have_text("SLOWER-SORTED-59")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Duration")
    page.get_by_label("Took at least (ms)").fill("500")
    expect(rows).to_have_text([f"SLOWER-SORTED-{number}" for number in (59, 58, 57)])
    page.reload()
    expect(rows).to_have_text([f"SLOWER-SORTED-{number}" for number in (59, 58, 57)])
    expect(page.get_by_label("Time")).to_have_value("yesterday")
    page.get_by_label("Order").select_option("Newest first")
    expect(page).not_to_have_url(re.compile("order="))


def test_a_range_of_ones_own_begins_with_the_one_that_is_shown(
    page: Page, running: Running
) -> None:
    slower_agent(running, "SLOWER-OWN")
    visit(page, "/agents/SLOWER-OWN")
    page.locator("#slowest .filters select").select_option("From … to …")
    began = page.locator("input[name=from]").input_value()
    ended = page.locator("input[name=to]").input_value()
    length = datetime.fromisoformat(ended) - datetime.fromisoformat(began)
    assert timedelta(hours=23, minutes=58) < length < timedelta(hours=24, minutes=2)
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("from=.*&to="))
    page.get_by_role("link", name="executions", exact=True).click()
    expect(page).to_have_url(re.compile("/executions.*from=.*&to="))


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
        ["by hand", "on schedule", re.compile(r"^caught up\s*due "), "on schedule", "on schedule"]
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
