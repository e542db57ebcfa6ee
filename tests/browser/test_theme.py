"""The theme: chosen on the page, kept in the browser, there before anything is drawn."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Window, visit
from tests.browser.geometry import faults

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
LIGHT = "rgb(245, 246, 249)"
DARK = "rgb(15, 18, 23)"
#: Notes what moves in the bar without anybody having done something.
WATCH = """
window.moved = [];
new PerformanceObserver((list) => {
    for (const { node } of list.getEntries().flatMap((one) => one.sources)) {
        if (node?.parentElement?.closest(".top")) window.moved.push(node.nodeName);
    }
}).observe({ type: "layout-shift", buffered: true });
"""
#: Where the bar's parts stand.
PLACES = """() => [...document.querySelectorAll(".top :is(.brand, .state, .end > *, .menu)")].map(
    (one) => JSON.stringify(one.getBoundingClientRect()))"""


def ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_a_chosen_theme_goes_before_the_system_and_is_kept(window: Window) -> None:
    page = window.open(color_scheme="light")
    choice = page.get_by_role("combobox", name="Theme")
    expect(choice).to_have_value("system")
    assert ground(page) == LIGHT
    page.emulate_media(color_scheme="dark")
    assert ground(page) == DARK
    choice.select_option("Light theme")
    assert ground(page) == LIGHT
    visit(page, "/builds")
    expect(choice).to_have_value("light")
    assert ground(page) == LIGHT
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("combobox", name="Theme").select_option("Dark theme")
    expect(choice).to_have_value("dark")
    assert ground(page) == DARK
    choice.select_option("System theme")
    assert page.evaluate("localStorage.getItem('nova-theme')") is None
    page.emulate_media(color_scheme="light")
    assert ground(page) == LIGHT


def test_the_theme_is_there_before_anything_is_drawn(window: Window) -> None:
    page = window.open(color_scheme="light")
    page.get_by_role("combobox", name="Theme").select_option("Dark theme")
    page.route("**/static/app.js", lambda route: route.abort())  # which draws everything
    page.goto(f"{page.evaluate('location.origin')}/agents")
    assert ground(page) == DARK


def test_choosing_by_keys_moves_nothing_on_a_phone(window: Window) -> None:
    page = window.open(viewport=PHONE, color_scheme="light")
    choice = page.get_by_role("combobox", name="Theme")
    before = page.evaluate(PLACES)
    choice.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(choice).to_have_value("dark")
    assert ground(page) == DARK
    assert page.evaluate(PLACES) == before
    assert faults(page) == []
    page.add_init_script(WATCH)
    visit(page, "/dead-letters")
    assert page.evaluate("window.moved") == []


def test_plots_take_the_colours_of_the_theme(window: Window) -> None:
    page = window.open(color_scheme="light")
    line = "getComputedStyle(document.querySelector('.plot')).getPropertyValue('--plot-1')"
    expect(page.locator(".plot canvas")).to_be_visible()
    assert page.evaluate(line) == "rgb(42, 125, 79)"
    first = page.locator(".plot canvas").element_handle()
    page.get_by_role("combobox", name="Theme").select_option("Dark theme")
    assert page.evaluate(line) == "rgb(95, 208, 147)"
    assert first is not None
    page.wait_for_function("canvas => !canvas.isConnected", arg=first)  # it was drawn anew
