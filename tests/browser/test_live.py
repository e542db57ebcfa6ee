"""The page follows the stream, says when it cannot, and comes back by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from nova_stream.local.ports import free_port
from tests.browser.dashboard import (
    LIMIT,
    READER,
    TOKEN,
    Running,
    Window,
    agent_row,
    live,
    until,
    visit,
)

pytestmark = pytest.mark.browser

#: Milliseconds in which a change must be on the page after the figures have it, also while the
#: machine is busy with other tests; alone it takes less than one second.
SOON = 5000


def number(page: Page, title: str) -> int:
    card = page.locator("#overview .card").filter(has_text=title).locator("dd").first
    expect(card).to_have_text(re.compile(r"\d"))
    return int(card.inner_text().replace(",", ""))


@contextmanager
def api(running: Running, port: int) -> Iterator[None]:
    """An API of the test's own on the running stack, which it may stop."""
    with subprocess.Popen(
        [sys.executable, "-m", "nova_stream.cli.main", "api", "--port", str(port)],
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            assert b"listens" in process.stdout.readline()
            yield
        finally:
            process.terminate()
            process.wait(20)


def test_numbers_move_while_changes_come(page: Page) -> None:
    before = number(page, "Completed tasks")
    until(lambda: number(page, "Completed tasks") > before)
    feed = page.locator("#activity .feed li")
    newest = feed.first.inner_text()
    until(lambda: feed.first.inner_text() != newest)
    expect(page.locator("#state-text")).to_have_text("Live")


def test_a_change_is_on_the_page_soon(page: Page, running: Running) -> None:
    running.publish(
        {"entity": "agents", "after": {"id": "a-quick", "name": "QUICK", "role": "tests"}},
        {"entity": "tasks", "after": {"id": "q-1", "agent": "QUICK", "status": "running"}},
    )
    visit(page, "/agents")
    row = agent_row(page, "QUICK")
    expect(row.locator(".status")).to_have_text("active", timeout=SOON)
    running.publish({"entity": "tasks", "after": {"id": "q-1", "agent": "QUICK", "status": "done"}})
    expect(row.locator(".status")).to_have_text("idle", timeout=SOON)
    expect(row.locator(".col-completedTasks")).to_have_text("1", timeout=SOON)
    running.publish({"entity": "agents", "op": "d", "before": {"id": "a-quick"}})
    expect(row.locator(".tag")).to_have_text("unregistered", timeout=SOON)


def test_a_restart_of_the_api_is_told_and_survived(window: Window, running: Running) -> None:
    port = free_port()
    with api(running, port):
        page = window.open(url=f"http://127.0.0.1:{port}")
        expect(page.locator(".banner")).to_be_hidden()
    banner = page.locator(".banner")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text(re.compile(r"The numbers below are \d+ s old"))
    expect(page.locator("#state-text")).to_have_text("Connection lost")
    with api(running, port):
        live(page)
        expect(banner).to_be_hidden()
        before = number(page, "Completed tasks")
        until(lambda: number(page, "Completed tasks") > before)
        page.context.close()


def test_without_a_stream_it_polls(window: Window) -> None:
    page = window.open()
    page.route("**/api/v1/stream", lambda route: route.abort())
    page.reload()
    expect(page.locator("#state-text")).to_have_text("Live, by polling")
    before = number(page, "Completed tasks")
    until(lambda: number(page, "Completed tasks") > before)


def test_a_stream_that_breaks_is_resumed_from_its_last_event(window: Window) -> None:
    page = window.open()
    resumed: list[str] = []

    def look(route: Route) -> None:
        resumed.append(route.request.headers.get("last-event-id", ""))
        route.continue_()

    def broken() -> str:
        page.context.set_offline(True)
        expect(page.locator("#state-text")).to_have_text("Connection lost")
        page.context.set_offline(False)
        expect(page.locator("#state-text")).to_have_text("Live")
        return resumed[-1]

    page.route("**/api/v1/stream", look)
    # A stream that breaks before its first picture is whole has no event to go on from.
    until(lambda: bool(re.fullmatch(r"[0-9a-f]{8}-\d+", broken())), limit=90)


def test_after_a_sleep_the_stream_is_opened_anew(window: Window) -> None:
    page = window.open()
    page.clock.install()
    page.reload()
    live(page)
    number(page, "Completed tasks")  # the first picture is whole: there is an event to go on from
    with page.expect_request("**/api/v1/stream") as opened:
        page.clock.fast_forward(15_000)
    assert re.fullmatch(r"[0-9a-f]{8}-\d+", opened.value.headers["last-event-id"])
    live(page)


def test_old_numbers_are_called_old(window: Window) -> None:
    page = window.open()
    page.clock.install()
    page.reload()
    live(page)
    # Nothing answers any more, and nothing fails: the server hangs.
    page.route("**/api/v1/**", lambda _route: None)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.fast_forward(30_000)
    expect(page.locator("#state")).to_have_attribute("data-state", re.compile("old|lost"))
    expect(page.locator(".banner")).to_contain_text("old")
    page.unroute_all(behavior="ignoreErrors")


def test_a_stream_that_stands_still_is_told(window: Window, running: Running) -> None:
    page = window.open()
    status = {**running.call("GET", "/stream/status"), "lag": 7, "throughput": 0, "workers": 1}
    page.route("**/api/v1/stream/status", lambda route: route.fulfill(json=status))
    expect(page.locator(".banner")).to_have_text(
        "7 events wait in Kafka and none is applied: see the workers' logs.", timeout=LIMIT + 10_000
    )
    page.unroute_all(behavior="ignoreErrors")
    live(page)


#: What is away, a page that is looked at, what the pill says, and how the banner says what the
#: numbers are worth.
AWAY: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {"databaseUp": False, "databaseState": "silent"},
        "/builds",
        "Postgres does not answer",
        "old.",
    ),
    (
        {"databaseUp": False, "databaseState": "refusing"},
        "/agents/MARS",
        "Postgres refuses connections",
        "old.",
    ),
    (
        {"kafkaUp": False, "kafkaState": "silent"},
        "/jobs",
        "Kafka does not answer",
        "hold all changes until",
    ),
    (
        {"kafkaUp": False, "kafkaState": "refusing"},
        "/activity",
        "Kafka refuses connections",
        "changes until",
    ),
    ({"workers": 0}, "/stream", "No worker runs", "hold all changes until"),
]


@pytest.mark.parametrize(("away", "path", "pill", "old"), AWAY, ids=[one[2] for one in AWAY])
def test_what_is_away_is_told_in_a_sentence_of_its_own(
    window: Window, running: Running, away: dict[str, Any], path: str, pill: str, old: str
) -> None:
    page = window.open(path)
    status = {**running.call("GET", "/stream/status"), **away}
    page.route("**/api/v1/stream/status", lambda route: route.fulfill(json=status))
    expect(page.locator("#state-text")).to_have_text(pill)
    expect(page.locator(".banner")).to_contain_text(f"{pill}. ")
    expect(page.locator(".banner")).to_contain_text(old)
    page.unroute_all(behavior="ignoreErrors")
    live(page)


@pytest.mark.parametrize(
    ("since", "points"), [("1h", "one a minute"), ("1d", "one every 15 minutes")]
)
def test_a_plot_says_how_many_points_it_has_and_how_far_apart(
    window: Window, since: str, points: str
) -> None:
    note = window.open(f"/stream?since={since}").locator("#lag .box > .note").last
    expect(note).to_have_text(re.compile(rf"^\d+ points, {points}; times in "))


def test_without_a_worker_the_stream_says_which_figures_are_old_and_why(
    window: Window, running: Running
) -> None:
    page = window.open("/stream")
    freshness = page.locator(".tile", has_text="Freshness")
    expect(freshness).to_contain_text("from event to figure")
    outlook = {"trend": "unknown", "advice": "Nothing is applied: no worker runs."}
    gone = {
        "workers": 0,
        "outlook": outlook,
        "freshnessMs": 12,
        "lastAppliedAt": "2026-02-20T12:00:00.000Z",
    }
    status = running.call("GET", "/stream/status") | gone
    page.route("**/api/v1/stream/status", lambda route: route.fulfill(json=status))
    expect(freshness).to_have_attribute("data-tone", "warn")
    expect(freshness).to_contain_text(re.compile(r"12 ms.*old: measured \d+ \w+ ago"))
    facts = page.locator(".facts")
    expect(facts).to_contain_text("OutlookNothing is applied: no worker runs.")
    status |= {"databaseUp": False, "databaseState": "silent", "outlook": None}
    expect(facts).to_contain_text("OutlookNot known: Postgres does not answer.")
    nothing: dict[str, Any] = {"items": [], "nextCursor": None, "prevCursor": None}
    page.route("**/api/v1/alerts*", lambda route: route.fulfill(json=nothing))
    status |= {"databaseUp": True, "databaseState": "up", "outlook": outlook}
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("#alerts")).to_contain_text("no worker runs to look for new ones")
    page.get_by_role("link", name="Stream", exact=True).click()
    page.unroute_all(behavior="ignoreErrors")
    expect(freshness).to_have_attribute("data-tone", "")


@pytest.mark.parametrize("state", ["silent", "refusing"])
def test_a_page_without_a_stream_tells_an_outage_of_postgres_from_a_lost_connection(
    window: Window, state: str
) -> None:
    page = window.open()
    problem = {"title": "away", "status": 503, "detail": "away", "databaseState": state}
    page.route("**/api/v1/**", lambda route: route.fulfill(status=503, json=problem))
    page.reload()
    does = "does not answer" if state == "silent" else "refuses connections"
    expect(page.locator("#state-text")).to_have_text(f"Postgres {does}")
    expect(page.locator("#overview")).not_to_contain_text("no completed build")
    for part in ("stream", "alerts", "builds", "activity", "over-time"):
        expect(page.locator(f"#{part}")).to_contain_text(f"cannot be shown: Postgres {does}.")
    page.locator("#pages").get_by_role("link", name="Agents").click()
    expect(page.locator("main")).to_contain_text(f"Agents cannot be shown: Postgres {does}.")
    page.keyboard.press("/")
    page.keyboard.type("parser")
    expect(page.locator("dialog [role=status]")).to_have_text(f"Postgres {does}.")
    page.keyboard.press("Escape")
    page.unroute_all(behavior="ignoreErrors")
    live(page)


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token with the scope").fill(token)
    page.get_by_role("button", name="Show the numbers").click()


def test_a_token_is_asked_for_and_kept_for_all_tabs_until_signing_out(window: Window) -> None:
    page = window.open("/builds?status=failed", token="")
    sign_in(page, "not-the-token")
    expect(page.get_by_text("This token is not one")).to_be_visible()
    sign_in(page, READER)
    live(page)
    page.reload()
    live(page)
    assert READER not in page.url
    other = page.context.new_page()
    other.goto(page.url)
    live(other)
    expect(other.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
    other.get_by_role("button", name="Token", exact=True).click()
    other.get_by_role("button", name="Sign out").click()
    for tab in (page, other):
        expect(tab.locator("#state-text")).to_have_text("Waiting for a token")
        assert tab.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"
        expect(tab.locator("main tbody tr")).to_have_count(0)


def test_a_token_can_be_for_one_tab_alone(window: Window) -> None:
    page = window.open(token="")
    page.get_by_label("Keep it in this browser").uncheck()
    sign_in(page, READER)
    live(page)
    page.reload()
    live(page)
    assert page.evaluate("localStorage.length") == 0


def test_a_link_replaces_no_token_unless_its_user_says_so(window: Window, running: Running) -> None:
    page = window.open(token=TOKEN)
    for link in ("goto", "hash"):
        if link == "goto":
            page.goto("about:blank")
            page.goto(f"{running.url}/#token={READER}")
        else:
            page.evaluate("given => { location.hash = `token=${given}`; }", READER)
        expect(page.get_by_role("heading", name="Use the link's token?")).to_be_visible()
        assert page.evaluate("localStorage.getItem('nova-token')") == TOKEN
        assert READER not in page.url
        page.get_by_role("button", name="Cancel").click()
        live(page)
    page.evaluate("given => { location.hash = `token=${given}`; }", TOKEN)  # the same: no question
    page.evaluate("given => { location.hash = `token=${given}`; }", READER)
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("button", name="Token", exact=True)).to_have_attribute(
        "title", re.compile("read")
    )
    assert page.evaluate("localStorage.getItem('nova-token')") == READER
    live(page)


def test_the_policy_lets_nothing_else_in(page: Page) -> None:
    response = page.request.get(page.url.split("#")[0])
    policy = response.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert page.locator("script:not([src])").count() == 0
    assert (
        page.evaluate("""async () => {
      try { await fetch("http://localhost:1/"); return "sent"; } catch { return "stopped"; }
    }""")
        == "stopped"
    )
