"""Every page in every size and theme while something is away: what is told of it, and old numbers,
overlap nothing, and axe finds nothing serious.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.dashboard import Window, live
from tests.browser.data_sets import ordinary
from tests.browser.outages import Platform, platform
from tests.browser.routes import Entities, addresses, filled
from tests.browser.walk import WATCH, go, wrong

pytestmark = [pytest.mark.browser, pytest.mark.long]

OUTAGES = ("kafka hung", "postgres hung", "postgres refusing", "worker gone", "api gone")
#: Milliseconds within which a page says what is away.
TOLD_WITHIN = 5_000
#: The server answers at once that it cannot: a page that is opened meanwhile says so everywhere.
OPENED_MEANWHILE = "postgres refusing"
#: The server waits for an answer, and the page shows what it has until then.
WAITS = "postgres hung"


class Open(NamedTuple):
    """A platform that works, and a page that has been on every address."""

    platform: Platform
    window: Window
    page: Page
    entities: Entities


@pytest.fixture(scope="module")
def opened(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    folder = tmp_path_factory.mktemp("faults")
    with platform(folder, f"test-{uuid.uuid4().hex[:12]}") as found:
        entities = ordinary(found.running)
        window = Window(chromium, found.running)
        page = window.open(token="", script=WATCH)
        live(page)
        for address in addresses():
            go(page, filled(address, entities))
        yield Open(found, window, page, entities)
        window.close()


@pytest.fixture(scope="module", params=OUTAGES)
def away(request: pytest.FixtureRequest, opened: Open) -> Iterator[tuple[str, list[Page]]]:
    """What is away, and the pages that are open: one since before, and one that was opened
    meanwhile where that makes a difference.
    """
    name: str = request.param
    outage = opened.platform.outages[name]
    outage.happens()
    pages = [opened.page]
    if name == OPENED_MEANWHILE:
        pages.append(opened.window.open(token="", script=WATCH))
    for page in pages:
        expect(page.locator("#state-text")).to_have_text(outage.pill, timeout=TOLD_WITHIN)
        expect(page.locator(".banner")).to_be_visible()
    yield name, pages
    for page in pages[1:]:
        page.close()
    outage.ends()
    if OUTAGES.index(name) < OUTAGES.index("worker gone"):
        live(opened.page)


@pytest.mark.parametrize("address", addresses())
def test_a_page_is_whole_while_something_is_away(
    opened: Open, away: tuple[str, list[Page]], address: str
) -> None:
    name, pages = away
    found = []
    for number, page in enumerate(pages):
        go(page, filled(address, opened.entities), answered=name != WAITS)
        found.append(wrong(page, f"{name} {number} {address}"))
        expect(page.locator(".banner")).to_contain_text(opened.platform.outages[name].told)
        for other in OUTAGES:
            if other != name:
                expect(page.locator("main")).not_to_contain_text(
                    opened.platform.outages[other].told
                )
    assert "\n".join(found).strip() == ""
