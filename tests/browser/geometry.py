"""Whether anything on a page overlaps, is cut off, or is wider than its place."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

_LOOK = (Path(__file__).parent / "geometry.js").read_text(encoding="utf-8")


def faults(page: Page) -> list[str]:
    """What overlaps, is cut off or too wide at the present size of the window, once the page has
    been drawn at that size.
    """
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    found: list[str] = page.evaluate(_LOOK)
    return found
