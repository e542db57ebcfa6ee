"""Every page in every size and theme, with nothing in it, with rows of all kinds, and with texts
that break pages: nothing overlaps or is cut off, and axe finds nothing serious.

test_every_page_large.py and test_every_page_in_faults.py do the same with a large platform, and
while something is away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page

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
    assert wrong(shown.page, f"{shown.name} {address}") == {}
    missing = shown.name == "empty" or address.startswith("/nothing")
    assert missing or shown.page.locator("main .missing").count() == 0
