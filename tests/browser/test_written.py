"""Figures are written alike on the pages and on the command line."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from nova_stream.cli.tables import duration_text
from tests.browser.dashboard import Running, visit

pytestmark = pytest.mark.browser

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
#: Each side of whatever changes the unit, halves, and what is between.
LENGTHS = [
    length + step
    for length in (1, 2, 3, 999, 4250, 4350, 9950, _MINUTE, 5 * _MINUTE, _HOUR, _DAY, 2 * _DAY)
    for step in (-0.5, -0.25, 0, 0.5, 1, 49, 50, 51)
] + [n * length for length in (7.3, 331.7, 19_999.5, 1_234_567) for n in range(60)]


def test_lengths_of_time_are_written_alike(page: Page, running: Running) -> None:
    del running
    visit(page, "/")
    written = page.evaluate(
        """async (lengths) => {
            const { duration } = await import("/static/js/format.js");
            return lengths.map(duration);
        }""",
        LENGTHS,
    )
    assert written == [duration_text(length) for length in LENGTHS]
