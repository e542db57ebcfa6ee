"""Plots over time: what their axes show, and which of their buckets are not whole."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Running, Window, until, visit

pytestmark = pytest.mark.browser

#: Of the row of pixels in which a plot has the most of a colour: where it has that colour.
_ROW = """
(canvas) => {
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const is = (at) => Math.abs(pixels[at] - 42) + Math.abs(pixels[at + 1] - 125)
    + Math.abs(pixels[at + 2] - 79) < 90 && pixels[at + 3] > 90;
  const rows = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => is(4 * (y * width + x))));
  const count = (row) => row.filter(Boolean).length;
  return rows.reduce((most, row) => (count(row) > count(most) ? row : most));
}
"""


def gaps(row: list[bool]) -> int:
    """How often a line is interrupted."""
    text = "".join("#" if there else " " for there in row).strip()
    return len(re.findall(" +", text))


def ended_runs(running: Running, job: str) -> int:
    """How many runs of a job have ended, whatever came of them: the plot shows all."""
    runs = running.call("GET", f"/jobs/{job}/runs")["items"]
    return sum(run["state"] == "ended" for run in runs)


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("/?since=1d", ["Builds per 15 minutes", "Duration of builds"]),
        ("/agents/MARS?since=1h", ["Tasks per minute", "Duration of executions"]),
        ("/stream", ["Lag, records", "Applied, records per second"]),
        ("/jobs/healthCheck", ["Duration"]),
    ],
)
def test_each_axis_says_what_it_shows(
    page: Page, running: Running, path: str, titles: list[str]
) -> None:
    if "jobs" in path:
        for _ in range(2):
            running.call("POST", "/jobs/healthCheck/run", json={})
        until(lambda: ended_runs(running, "healthCheck") > 1, limit=120)
    visit(page, path)
    shown = page.locator(".axis-titles").first.locator("p")
    expect(shown).to_have_text(titles)


#: How far down, of its height, a plot has the row of pixels with the most of a colour.
_HEIGHT = _ROW.replace(
    "return rows.reduce((most, row) => (count(row) > count(most) ? row : most));",
    "return rows.map(count).indexOf(Math.max(...rows.map(count))) / height;",
)


def test_a_bucket_that_is_not_whole_does_not_dwarf_all_others(window: Window) -> None:
    answer = series("2026-02-20T01:00:00.000Z", "2026-02-20T08:20:00.000Z")
    answer["items"][-1]["completedBuilds"] = 5000
    page = window.open(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page.route("**/api/v1/builds/series?*", lambda route: route.fulfill(json=answer))
    visit(page, "/?since=1d")
    box = page.locator("#over-time .box")
    # Eight whole ones of 5 are near the top, and the last one's value is told all the same.
    expect(box.locator(".u-legend")).to_contain_text("5,000")
    assert box.locator("canvas").evaluate(_HEIGHT) < 0.35


def series(start: str, end: str) -> dict[str, Any]:
    """An answer of as many builds in every hour, cut off by the range."""
    times = [start, *(f"2026-02-20T{hour:02}:00:00.000Z" for hour in range(2, 9)), end]
    figures = {"completedBuilds": 5, "failedBuilds": 0}
    durations = dict.fromkeys(("p50DurationMs", "p95DurationMs", "avgDurationMs"))
    items = [
        {"start": times[n], "end": times[n + 1], **figures, **durations}
        for n in range(len(times) - 1)
    ]
    return {"from": start, "to": end, "bucket": "1h", "zone": "UTC", "items": items}


@pytest.mark.parametrize("cut", [False, True])
def test_buckets_that_are_not_whole_are_marked(window: Window, cut: bool) -> None:
    start, end = ("01:40", "08:20") if cut else ("01:00", "09:00")
    answer = series(f"2026-02-20T{start}:00.000Z", f"2026-02-20T{end}:00.000Z")
    page = window.open(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page.route("**/api/v1/builds/series?*", lambda route: route.fulfill(json=answer))
    visit(page, "/?since=1d")
    box = page.locator("#over-time .box")
    note = box.locator("> .note")
    expect(note).to_contain_text("one an hour")
    assert ("incomplete" in note.inner_text()) is cut
    rows = box.locator(".as-table tbody th")
    expect(rows.filter(has_text="incomplete")).to_have_count(2 if cut else 0)
    legend = box.locator(".u-legend")
    expect(legend).to_contain_text("Completed5")
    assert (", incomplete" in legend.inner_text()) is cut

    row = box.locator("canvas").evaluate(_ROW)
    there = [x for x, drawn in enumerate(row) if drawn]
    length = there[-1] - there[0]
    middle = slice(there[0] + length // 5, there[0] + length * 4 // 5)
    assert gaps(row[middle]) == 0
    assert (gaps(row[: middle.start]) > 1, gaps(row[middle.stop :]) > 1) == (cut, cut)

    legend.locator("tr:not(.partial)", has_text="Completed").locator("th").click()
    until(lambda: box.locator("canvas").evaluate(_ROW).count(True) < 20)
    for theme in ("dark", "light"):  # each draws it anew, as figures that have come do
        drawn = legend.element_handle()
        page.emulate_media(color_scheme=theme)
        drawn.wait_for_element_state("hidden")
    assert box.locator("canvas").evaluate(_ROW).count(True) < 20
    expect(legend.locator("tr.u-off:not(.partial)")).to_contain_text("Completed")
