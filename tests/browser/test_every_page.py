"""Every page in every size and theme, with nothing in it, with rows of all kinds, and with texts
that break pages: nothing overlaps or is cut off, and axe finds nothing serious.

test_every_page_large.py and test_every_page_in_faults.py do the same with a large platform, and
while something is away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import stack
from tests.browser.dashboard import Running, Window
from tests.browser.data_sets import NOBODY, odd, open_alerts_again, ordinary
from tests.browser.routes import Entities, addresses, filled, forgotten
from tests.browser.walk import WATCH, go, wrong

pytestmark = pytest.mark.browser

SETS: dict[str, Callable[[Running], Entities] | None] = {
    "empty": None,
    "ordinary": ordinary,
    "odd": odd,
}


#: What is opened where, and what it shows once it is whole.
DIALOGS = {
    "run": ("/jobs/{job}", "main button:has-text('Run…')"),
    "pause": ("/jobs/{job}", "main button:has-text('Pause…')"),
    "retry": ("/dead-letters/{letter}", "main button:has-text('Retry…')"),
    "discard": ("/dead-letters/{letter}", "main button:has-text('Discard…')"),
    "search": ("/", "header button:has-text('Search')"),
    "token": ("/", "header button:has-text('Token')"),
}


class Shown(NamedTuple):
    """A page of a stack, what it can show, and what the set is called."""

    page: Page
    entities: Entities
    name: str


@pytest.fixture(scope="module", params=SETS)
def shown(
    request: pytest.FixtureRequest,
    chromium: Browser,
    nova_kafka: str,
    nova_postgres: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shown]:
    name: str = request.param
    fill = SETS[name]
    folder = tmp_path_factory.mktemp(name)
    traffic = ("--rate", "20") if fill is ordinary else ("--no-demo",)
    with stack(nova_kafka, nova_postgres, folder, traffic) as found:
        entities = fill(found) if fill else NOBODY
        window = Window(chromium, found)
        page = window.open(script=WATCH)
        if fill:
            open_alerts_again(page)
        yield Shown(page, entities, name)
        page.unroute_all(behavior="ignoreErrors")
        window.close()


def test_no_page_is_forgotten() -> None:
    assert forgotten() == set()


@pytest.mark.parametrize("address", addresses())
def test_a_page_is_whole_in_every_size_and_theme(shown: Shown, address: str) -> None:
    go(shown.page, filled(address, shown.entities))
    assert wrong(shown.page, f"{shown.name} {address}") == ""
    missing = shown.name == "empty" or address.startswith("/nothing")
    assert missing or shown.page.locator("main .missing").count() == 0


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog_is_whole_in_every_size_and_theme(shown: Shown, name: str) -> None:
    address, button = DIALOGS[name]
    if shown.name == "empty" and name in {"retry", "discard"}:
        pytest.skip("there is no letter")
    go(shown.page, filled(address, shown.entities))
    shown.page.locator(button).first.click()
    expect(shown.page.get_by_role("dialog")).to_be_visible()
    if name == "search":
        shown.page.keyboard.type("odd")
        told = shown.page.locator("dialog [role=status]")
        expect(told).to_have_text(re.compile("Arrows choose|Nothing was found"))
    assert wrong(shown.page, f"{shown.name} dialog {name}", "dialog") == ""
    shown.page.keyboard.press("Escape")
    expect(shown.page.get_by_role("dialog")).to_have_count(0)


def test_the_menu_of_pages_is_whole_on_a_phone(shown: Shown) -> None:
    go(shown.page, "/jobs")
    shown.page.set_viewport_size({"width": 390, "height": 844})
    shown.page.locator(".menu").click()
    expect(shown.page.locator("#pages")).to_be_visible()
    assert wrong(shown.page, f"{shown.name} menu") == ""
    go(shown.page, "/")
