"""The page for everybody: keyboard, screen reader, light and dark, phone to wide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import WIDE
from tests.browser.dashboard import Running, Window, agent_row
from tests.browser.vendored import AXE_FOLDER

pytestmark = pytest.mark.browser

AXE = Path(AXE_FOLDER / "axe.js").read_text(encoding="utf-8")
PHONE: Any = {"width": 390, "height": 844}
_RUN = """async (place) => {
  const found = await axe.run(place, { resultTypes: ["violations"], preload: false });
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join("\\n  ")}`);
}"""


def serious(page: Page, place: str = "html") -> list[str]:
    """What axe finds in ``place`` that is serious or critical."""
    found: list[str] = page.evaluate(_RUN, place)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_serious(
    window: Window, running: Running, size: Any, scheme: Any
) -> None:
    running.spoil("t-axe", b"no json")
    page = window.open(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(AXE)
    expect(page.locator("#dead-letters tbody tr").first).to_be_visible()
    page.locator("#builds button.fold").first.click()
    page.get_by_role("button", name="History of computeAgentStats").click()
    expect(page.locator("#jobs .below")).to_be_visible()
    assert serious(page) == []
    page.get_by_role("button", name="MARS", exact=True).click()
    expect(page.locator("dialog .big")).to_be_visible()
    assert serious(page, "dialog") == []
    page.keyboard.press("Escape")
    page.locator("#dead-letters tbody button").first.click()
    expect(page.locator("dialog pre")).to_be_visible()
    page.get_by_role("button", name="Retry…").click()
    expect(page.get_by_role("button", name="Publish again")).to_be_visible()
    assert serious(page, "dialog") == []


def test_nothing_is_wider_than_the_window(window: Window, running: Running) -> None:
    name = "A" * 90
    running.publish({"entity": "agents", "after": {"id": "a-long", "name": name, "role": "b" * 90}})
    running.spoil("t-wide", b"no json")
    page = window.open(viewport=PHONE)
    expect(agent_row(page, name)).to_be_visible()
    expect(page.locator("#dead-letters tbody tr").first).to_be_visible()
    for width in (320, 390, 700, 760, 900, 1280, 1600, 2200):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
    running.publish({"entity": "agents", "op": "d", "before": {"id": "a-long"}})


def test_numbers_that_move_move_nothing_else(page: Page, running: Running) -> None:
    event = {"entity": "agents", "after": {"id": "a-steady", "name": "STEADY"}}
    running.publish(event)
    row = agent_row(page, "STEADY")
    places = "row => [...row.children].map(cell => cell.getBoundingClientRect().left)"
    before = row.evaluate(places)
    tasks = [
        {"entity": "tasks", "after": {"id": f"m-{n}", "agent": "STEADY", "status": "done"}}
        for n in range(1200)
    ]
    running.publish(*tasks)
    expect(row.locator(".totalTasks")).to_have_text("1,200")
    assert row.evaluate(places) == before


def test_sorting_with_the_keyboard_alone(page: Page) -> None:
    header = page.get_by_role("columnheader", name="Tasks")
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(header).to_have_attribute("aria-sort", "descending")
    column = "cells => cells.map(cell => Number(cell.textContent.replaceAll(',', '')))"
    counts = page.locator("#agents td.totalTasks").evaluate_all(column)
    assert counts == sorted(counts, reverse=True)
    page.keyboard.press("Space")
    expect(header).to_have_attribute("aria-sort", "ascending")
    counts = page.locator("#agents td.totalTasks").evaluate_all(column)
    assert counts == sorted(counts)
    expect(page.get_by_role("columnheader", name="Agent")).not_to_have_attribute("aria-sort", "any")


def test_a_dialog_with_the_keyboard_alone(page: Page) -> None:
    button = page.get_by_role("button", name="Run… healthCheck")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for _ in range(12):  # round and round, and never behind the dialog
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('main')")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_label("Dry run").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    history = page.get_by_role("region", name="History of healthCheck")
    expect(history.locator("tbody tr").first).to_contain_text("dry run")


def test_sections_have_addresses(window: Window) -> None:
    page = window.open("jobs", viewport=WIDE)
    expect(page.locator("#jobs-heading")).to_be_focused()
    expect(page.locator("#jobs-heading")).to_be_in_viewport()
    page.get_by_role("link", name="Agents", exact=True).click()
    expect(page.locator("#agents-heading")).to_be_focused()
    for section in ("overview", "stream", "alerts", "activity", "builds", "dead-letters"):
        expect(page.locator(f"nav a[href='#{section}']")).to_have_count(1)
        expect(page.locator(f"section#{section} h2")).to_have_count(1)


def test_the_connection_is_told_to_screen_readers(page: Page) -> None:
    expect(page.locator("header [role=status]")).to_have_text("Live")
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_have_text("Connection lost")
    page.context.set_offline(False)
    expect(page.get_by_role("alert")).to_have_text("")
