"""What is found on a page: each fault on one that has just that, and nothing on a good one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.geometry import faults
from tests.browser.walk import serious

pytestmark = pytest.mark.browser

_TWO = "<button>One</button> <button style='{}'>Two</button>"
GOOD = f"<p>Words</p>{_TWO.format('')}"
WRONG = {
    "the page is": "<p style='width: 900px'>Words</p>",
    "outside of the window": _TWO.format("position: absolute; left: -30px"),
    "overlap": _TWO.format("margin-left: -30px"),
    "covered by": f"{GOOD}<div style='position: absolute; inset: 0'></div>",
    "cut off by DIV": f"<div style='height: 10px; overflow: hidden'>{GOOD}</div>",
    "cut off by SPAN": (
        "<span style='display: block; width: 50px; overflow: hidden'>"
        "<button style='width: 90px'>One</button></span>"
    ),
    "wider than its place": _TWO.format("width: 20px; padding: 0; white-space: nowrap"),
}


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    found = chromium.new_page(viewport={"width": 390, "height": 844})
    yield found
    found.close()


def show(page: Page, body: str) -> None:
    page.set_content(f"<!doctype html><html lang=en><title>T</title><main>{body}</main>")


def test_a_page_without_faults_has_none(page: Page) -> None:
    show(page, GOOD)
    assert faults(page) == []
    assert serious(page) == []


@pytest.mark.parametrize("told", WRONG)
def test_a_fault_is_told(page: Page, told: str) -> None:
    show(page, WRONG[told])
    assert any(one.startswith(told) for one in faults(page)), faults(page)


def test_what_can_hardly_be_read_is_told(page: Page) -> None:
    show(page, "<p style='color: #bbb; background: #fff'>Words</p>")
    assert [one.split(":")[0] for one in serious(page)] == ["color-contrast"]


def test_of_a_page_behind_a_dialog_nothing_is_told(page: Page) -> None:
    show(page, f"{WRONG['overlap']}<dialog>{GOOD}</dialog>")
    page.evaluate("document.querySelector('dialog').showModal()")
    assert faults(page) == []
