"""What an admin does from the page, and what a reader is told that it cannot do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import WIDE
from tests.browser.dashboard import READER, Running, Window, visit

pytestmark = pytest.mark.browser


def test_a_job_that_is_run_from_the_page_is_followed(page: Page) -> None:
    visit(page, "/jobs")
    page.get_by_role("button", name="Run… computeAgentStats").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Run computeAgentStats?")
    dialog.get_by_role("button", name="Run it now").click()
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/jobs/computeAgentStats/runs/\d+$"))
    expect(page.locator(".page-heading .badge")).to_have_text("went well")
    facts = page.locator(".facts")
    expect(facts.get_by_text("How", exact=True).locator("xpath=../dd")).to_have_text("by hand")
    expect(facts.get_by_text("Ended", exact=True).locator("xpath=../dd")).to_contain_text(
        "went well, "
    )
    expect(page.get_by_label("The result")).to_contain_text('"computed":')
    page.get_by_role("link", name="computeAgentStats").click()
    run = page.locator(".runs tbody tr").first
    expect(run.locator(".col-ended")).to_have_text("went well")
    expect(run.locator(".col-how")).to_have_text("by hand")
    expect(run).to_contain_text("recounted")
    page.get_by_role("link", name="Stream", exact=True).click()
    drift = page.locator("[data-drift]").first
    expect(drift).to_have_attribute("data-drift", "0")
    expect(drift).to_contain_text("audited")


def test_a_dry_run_is_one(page: Page, running: Running) -> None:
    visit(page, "/jobs/cleanupOldActivity")
    page.get_by_role("button", name="Run… cleanupOldActivity").click()
    page.get_by_role("checkbox", name="Dry run").check()
    page.get_by_role("button", name="Run it now").click()
    expect(page.locator(".page-heading .badge")).to_have_text("went well")
    expect(page.locator(".facts")).to_contain_text("dry run")
    expect(page.locator(".did")).to_contain_text("Dry run: ")
    newest = running.call("GET", "/jobs/cleanupOldActivity/runs?limit=1")["items"][0]
    assert newest["dryRun"]


def test_what_cleanup_deleted_is_brought_back(page: Page, running: Running) -> None:
    old = {"id": "v-old", "agentName": "MARS", "timestamp": "2020-01-01T00:00:00.000Z"}
    running.publish({"entity": "activities", "after": old})
    visit(page, "/jobs")
    page.get_by_role("button", name="Run… cleanupOldActivity").click()
    page.get_by_role("button", name="Run it now").click()
    expect(page.locator(".page-heading .badge")).to_have_text("went well")
    expect(page.get_by_label("The result")).to_contain_text('"deleted":')
    page.get_by_role("button", name="Undo…").click()
    page.get_by_role("button", name="Undo it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    notice = page.locator(".notice")
    expect(notice).to_contain_text("is undone: 1 restored")
    # It lies above the page: who goes on reads what is below it.
    page.mouse.wheel(0, 10)
    expect(notice).to_have_attribute("data-shown", "false")


def test_a_job_is_paused_with_a_reason_and_resumed(page: Page, running: Running) -> None:
    visit(page, "/jobs")
    page.get_by_role("button", name="Pause… healthCheck").click()
    page.get_by_label("Reason").fill("maintenance of the disks")
    page.get_by_role("button", name="Pause", exact=True).click()
    job = page.locator('tr[data-job="healthCheck"]')
    expect(job.locator(".status")).to_have_text("paused")
    expect(job.locator(".badge").first).to_have_attribute("title", "maintenance of the disks")
    page.get_by_role("button", name="Resume… healthCheck").click()
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(job.locator(".status")).to_have_text("waiting")
    jobs = running.call("GET", "/jobs")["items"]
    assert not next(found for found in jobs if found["name"] == "healthCheck")["paused"]


def test_a_dead_letter_is_looked_at_and_retried(page: Page, running: Running) -> None:
    place = running.spoil("t-spoilt", b"\xff\x00 no json")
    visit(page, "/dead-letters")
    letter = page.locator(".letters tbody tr").filter(has_text=place)
    expect(letter).to_contain_text("bad json")
    letter.get_by_role("link").click()
    expect(page.get_by_label("Value as hexadecimal")).to_contain_text("ff 00 20 6e 6f")
    page.get_by_role("button", name="Retry…").click()
    page.get_by_role("button", name="Publish again").click()
    expect(page.locator(".page-heading .badge")).to_have_text("retried")
    # It fails again: the old one is retried, and a new one is open.
    page.get_by_role("navigation", name="Where").get_by_role("link").click()
    page.get_by_role("button", name="Retried").click()
    expect(letter).to_have_count(1)
    [retried] = running.call("GET", "/dead-letters?state=retried")["items"]
    assert place.endswith(f"{retried['partition']} / {retried['offset']}")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".letters tbody tr").first).to_contain_text("bad json")
    expect(letter).to_have_count(0)


def test_a_dead_letter_is_set_aside(page: Page, running: Running) -> None:
    place = running.spoil(
        "t-aside", b'{"op": "u", "after": {"id": "t-aside", "status": "exploded"}}'
    )
    visit(page, "/dead-letters")
    row = page.locator(".letters tbody tr").filter(has_text=place)
    row.get_by_role("link").click()
    expect(page.get_by_label("Value as text")).to_contain_text('"status": "exploded"')
    page.get_by_role("button", name="Discard…").click()
    page.get_by_role("button", name="Set aside", exact=True).click()
    expect(page.locator(".page-heading .badge")).to_have_text("discarded")


def test_a_build_may_be_stalled_by_the_setting(page: Page, running: Running) -> None:
    started = [("b-31", 31), ("b-119", 119), ("b-121", 121)]
    running.publish(
        *(
            {
                "entity": "builds",
                "after": {"id": id_, "prdId": "p", "status": "running", "startedAt": ago(minutes)},
            }
            for id_, minutes in started
        )
    )
    for id_, marked in (("b-121", 1), ("b-119", 0), ("b-31", 0)):
        with page.expect_response("**/api/v1/settings"):
            visit(page, f"/builds/{id_}")
        expect(page.locator(".page-heading .badge")).to_have_text("running")
        expect(page.locator(".page-heading .tag")).to_have_count(marked)
    running.publish(*({"entity": "builds", "op": "d", "before": {"id": id_}} for id_, _ in started))


def ago(minutes: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="milliseconds")


def test_a_build_shows_its_tasks_and_that_it_stalled(page: Page, running: Running) -> None:
    build = {"id": "b-slow", "prdId": "p", "prdName": "Slow harbour", "status": "running"}
    task = {"id": "t-slow", "buildId": "b-slow", "title": "Wait", "agent": "MARS"}
    started = {**build, "startedAt": "2099-01-01T00:00:00.000Z"}
    running.publish(
        {"entity": "builds", "after": started},
        {"entity": "tasks", "after": {**task, "status": "running"}},
    )
    visit(page, "/builds")
    page.get_by_role("link", name="Slow harbour").click()
    tasks = page.locator("#tasks tbody tr")
    expect(tasks).to_contain_text("Wait")
    expect(tasks.locator(".badge")).to_have_text("running")
    running.publish({"entity": "tasks", "after": {**task, "status": "done"}})
    expect(tasks.locator(".badge")).to_have_text("done")
    error = "Build stalled (no activity for 30+ minutes)"
    running.publish({"entity": "builds", "after": {**started, "status": "failed", "error": error}})
    expect(page.locator(".page-heading .badge")).to_have_text("failed")
    expect(page.locator(".page-heading .tag")).to_have_text("stalled")
    expect(page.locator("#error pre")).to_have_text(error)
    running.publish({"entity": "builds", "op": "d", "before": {"id": "b-slow"}})
    expect(page.get_by_role("alert").filter(has_text="No build has this ID.")).to_be_visible()


def test_a_reader_is_told_what_it_cannot_do(window: Window) -> None:
    page = window.open("/jobs", token=READER, viewport=WIDE)
    expect(page.get_by_role("button", name="Run… computeAgentStats")).to_be_disabled()
    expect(page.get_by_role("button", name="Pause… computeAgentStats")).to_be_disabled()
    reason = "This needs a token with the scope admin; this one has read."
    expect(page.locator("main")).to_contain_text(reason)
    page.get_by_role("link", name="computeAgentStats").click()
    expect(page.locator("#runs")).not_to_contain_text("cannot be shown")
    page.get_by_role("link", name="Dead letters").click()
    expect(page.locator("main")).to_contain_text(reason)
