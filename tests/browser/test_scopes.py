"""The page with a token of each scope: what it may is shown, the rest says what is missing, and
nothing is asked for that would be refused.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from nova_stream.scopes import SCOPES
from tests.browser.conftest import WIDE
from tests.browser.dashboard import READER, TOKEN, Running, Window

pytestmark = pytest.mark.browser

#: What each page shows, by its scope.
PAGES = {
    "stats": {
        "/stream": ".tile",
        "/alerts": "[role=status]",
        "/agents": "tbody tr",
        "/jobs": "tbody tr",
    },
    "documents": {"/activity": "tbody tr", "/builds": "tbody tr"},
    "admin": {"/dead-letters": ".fine, tbody tr", "/trail": "tbody tr"},
}
#: What each part of the overview shows.
PARTS = {
    "stats": {"#overview": ".card", "#stream": ".tile", "#alerts": "[role=status]"},
    "documents": {"#activity": ".feed li", "#builds": "tbody tr"},
}
NEEDS = "This needs a token with the scope"


def opened(window: Window, token: str) -> tuple[Page, list[str]]:
    """The page with this token, and what it asks for that is refused."""
    page = window.open(token="", viewport=WIDE)
    refused: list[str] = []

    def answered(response: Response) -> None:
        if response.status == 403:
            refused.append(response.url)

    page.on("response", answered)
    page.get_by_label("Token with the scope").fill(token)
    page.get_by_role("button", name="Show the numbers").click()
    return page, refused


def check(place: Locator, shown: str, scope: str, scopes: set[str]) -> None:
    if scope in scopes:
        expect(place.locator(shown).first).to_be_visible()
    else:
        expect(place).to_contain_text(f"{NEEDS} {scope}")


def check_pages(page: Page, scopes: set[str]) -> None:
    for scope, parts in PARTS.items():
        for part, shown in parts.items():
            check(page.locator(part), shown, scope, scopes)
    for scope, paths in PAGES.items():
        for path, shown in paths.items():
            page.locator(f".top nav a[href='{path}']").click()
            check(page.locator("main"), shown, scope, scopes)
    page.locator(".brand").click()


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_shows_what_it_may(window: Window, scope: str) -> None:
    page, refused = opened(window, f"one-{scope}")
    check_pages(page, {scope})
    if scope in {"stats", "documents"}:
        expect(page.locator("#state")).to_have_attribute("data-state", "live")
        expect(page.locator(".banner")).to_be_hidden()
    else:
        expect(page.locator(".banner")).to_contain_text(f"The token {scope} has the scope {scope}.")
    expect(page.get_by_role("button", name="Token", exact=True)).to_be_visible()
    assert refused == []


def test_another_token_shows_other_things_and_no_more_the_old(
    window: Window, running: Running
) -> None:
    running.call("POST", "/jobs/refreshBuildStats/run")
    page, refused = opened(window, TOKEN)
    check_pages(page, set(SCOPES))
    expect(page.locator(".plot canvas")).to_be_visible()
    for token, scopes in (
        ("one-documents", {"documents"}),
        ("one-stats", {"stats"}),
        (READER, {"stats", "documents"}),
    ):
        page.get_by_role("button", name="Token", exact=True).click()
        page.get_by_label("Token with the scope").fill(token)
        page.get_by_role("button", name="Show the numbers").click()
        check_pages(page, scopes)
    assert refused == []


def test_the_trail_shows_who_did_what(window: Window, running: Running) -> None:
    running.call("POST", "/jobs/healthCheck/pause", json={"reason": "looking"})
    running.call("POST", "/jobs/healthCheck/resume")
    page: Any = window.open("/trail", viewport=WIDE)
    line = page.locator(".trail tbody tr").filter(has_text="/jobs/{name}/resume").first
    expect(line).to_contain_text("healthCheck")
    expect(line).to_contain_text("NOVA_API_TOKEN")
    expect(line).to_contain_text("done")
