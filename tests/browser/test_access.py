"""The pages for everybody: with the keyboard alone, and for those who hear them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Running, agent_row, visit

pytestmark = pytest.mark.browser


def test_numbers_that_move_move_nothing_else(page: Page, running: Running) -> None:
    event = {"entity": "agents", "after": {"id": "a-steady", "name": "STEADY"}}
    running.publish(event)
    visit(page, "/agents")
    row = agent_row(page, "STEADY")
    places = "row => [...row.children].map(cell => cell.getBoundingClientRect().left)"
    before = row.evaluate(places)
    tasks = [
        {"entity": "tasks", "after": {"id": f"m-{n}", "agent": "STEADY", "status": "done"}}
        for n in range(1200)
    ]
    running.publish(*tasks)
    expect(row.locator(".col-totalTasks")).to_have_text("1,200")
    assert row.evaluate(places) == before


def test_sorting_with_the_keyboard_alone(page: Page) -> None:
    visit(page, "/agents")
    header = page.get_by_role("columnheader", name="Tasks")
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(header).to_have_attribute("aria-sort", "descending")
    # In one step, since rows may move while the page is looked at.
    column = """[...document.querySelectorAll(".agents td.col-totalTasks")]
        .map(cell => Number(cell.textContent.replaceAll(",", "")))"""
    counts = page.evaluate(column)
    assert counts == sorted(counts, reverse=True)
    page.keyboard.press("Space")
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert page.url.endswith("?sort=totalTasks")
    counts = page.evaluate(column)
    assert counts == sorted(counts)


def test_a_dialog_with_the_keyboard_alone(page: Page) -> None:
    visit(page, "/jobs")
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
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("main .facts")).to_contain_text("dry run")


def test_the_connection_is_told_to_screen_readers(page: Page) -> None:
    expect(page.locator("header [role=status]")).to_have_text("Live")
    page.context.set_offline(True)
    told = page.locator(".sr-only[role=alert]")
    expect(told).to_have_text("Connection lost")
    page.context.set_offline(False)
    expect(told).to_have_text("")
