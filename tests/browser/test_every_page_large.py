"""Every page of a large platform in every size and theme: 1,500 agents, 3,000 builds and 100,000
tasks.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import stack
from tests.browser.dashboard import Window
from tests.browser.data_sets import large, open_alerts_again
from tests.browser.routes import addresses, filled
from tests.browser.test_every_page import Shown
from tests.browser.walk import WATCH, go, wrong

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def shown(
    chromium: Browser,
    nova_kafka: str,
    nova_postgres: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("large")
    with stack(nova_kafka, nova_postgres, folder, ("--no-demo",)) as found:
        entities = large(found, folder / "changes.jsonl")
        window = Window(chromium, found)
        page = window.open(script=WATCH)
        open_alerts_again(page)
        yield Shown(page, entities, "large")
        page.unroute_all(behavior="ignoreErrors")
        window.close()


@pytest.mark.parametrize("address", addresses())
def test_a_page_of_a_large_platform_is_whole(shown: Shown, address: str) -> None:
    go(shown.page, filled(address, shown.entities))
    assert wrong(shown.page, f"{shown.name} {address}") == ""
    assert address.startswith("/nothing") or shown.page.locator("main .missing").count() == 0
