"""One page of the dashboard that goes from address to address, and is looked at on each in every
size and theme.

With ``NOVA_TEST_PICTURES=FOLDER`` it leaves pictures of all that it sees, for people to look at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

from tests.browser.geometry import faults
from tests.browser.vendored import AXE_FOLDER

AXE = Path(AXE_FOLDER / "axe.js").read_text(encoding="utf-8")
VIEWPORTS = ((1440, 900), (3840, 2160), (820, 1180), (390, 844), (320, 700))
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: The width at which axe looks, by theme.
_AXE_AT = {"light": 1440, "dark": 390}

_RUN = """async (place) => {
  const found = await axe.run(place, { resultTypes: ["violations"], preload: false });
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join("\\n  ")}`);
}"""
#: As a link of the page does: nothing is fetched that the page has already.
_GO = """async (address) => {
  history.pushState(null, "", address);
  dispatchEvent(new PopStateEvent("popstate", { state: null }));
  for (let n = 0; n < 2; n += 1) await new Promise(requestAnimationFrame);
  window.wanted = [...window.asking || []];
}"""
#: Knows of each question to the server that is under way, but for those that are always asked;
#: other ones are asked again and again, so that some may always be.
WATCH = """
const ask = window.fetch;
window.asking = new Set();
window.fetch = async (address, ...rest) => {
  const one = {};
  if (!/api.v1.(stream|token|alerts.open=true)/.test(address)) asking.add(one);
  try { return await ask(address, ...rest); } finally { asking.delete(one); }
};
"""
_SOMETHING = 'document.querySelector("main :is(tbody tr, dd, .empty, .fine, .feed li)")'
#: There is something, and all is answered that the page asked when it was gone to.
_ANSWERED = f"""() => {_SOMETHING} && !document.querySelector("main [aria-busy]")
  && wanted.every((one) => !asking.has(one))"""
_PICTURES = os.environ.get("NOVA_TEST_PICTURES")


def serious(page: Page, place: str = "html") -> list[str]:
    """What axe finds in ``place`` that is serious or critical."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(_RUN, place)
    return found


def go(page: Page, address: str, *, answered: bool = True) -> None:
    """Go to another address of the dashboard, and wait until it shows what the server answers, or
    with ``answered=False`` anything.
    """
    page.evaluate(_GO, address)
    page.wait_for_function(_ANSWERED if answered else _SOMETHING)


def wrong(page: Page, picture: str, place: str = "html") -> str:
    """What is wrong with the page as it is, in each size and theme, a line each; ``picture`` names
    its pictures. Axe looks at ``place``.
    """
    found: list[str] = []
    for width, height in VIEWPORTS:
        page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            told = faults(page)
            if _AXE_AT[theme] == width:
                told += serious(page, place)
            found += (f"{width} {theme}: {one}" for one in told)
            if _PICTURES:
                name = re.sub(r"[^\w-]+", "_", picture)[:80].strip("_")
                page.screenshot(path=Path(_PICTURES) / f"{name}.{width}.{theme}.png")
    return "\n".join(found)
