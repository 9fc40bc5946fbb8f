"""The page in a real browser: how much is loaded, how fast, and how soon a thing that was held is recognised."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from support.daemons import running, taught_home
from support.record import Figure, backbone_home, report

CHROMIUM = os.environ.get("EDGECL_CHROMIUM", "/usr/bin/chromium")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
IMAGES = Path(__file__).parent.parent / "docs" / "img"
HELD_S = 3.0
SHOWN = ("cat", "coffee", "rocket", "astronaut", "motorcycle", "coins")


USABLE = """() => document.querySelector("[data-testid=class-name]")
  && document.getElementById("line").textContent.includes("knows") && performance.now()"""
LOADED = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((one) => !one.name.includes("/api/")).reduce((sum, one) => sum + one.transferSize, 0)"""


def load(page: Page, address: str) -> tuple[float, int]:
    """Seconds until the page can be used, with nothing in a cache, and bytes that came for it, pictures aside.

    Both by the browser's own clock and count.
    """
    page.goto(address, wait_until="commit")
    seconds = float(page.wait_for_function(USABLE).json_value()) / 1000.0
    page.wait_for_timeout(500)
    return seconds, int(page.evaluate(LOADED))


def hold(page: Page, label: str) -> float:
    """Teach what the camera sees by holding the button; seconds from letting go until the answer shows the name."""
    page.fill("[data-testid=class-name]", label)
    button = page.locator("[data-testid=add-class]")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box is not None, "it is shown"  # noqa: S101
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.wait_for_timeout(1000 * HELD_S)
    page.mouse.up()
    began = time.monotonic()
    page.wait_for_function("name => document.querySelector('[data-testid=answer]').textContent === name", arg=label)
    return time.monotonic() - began


def main() -> None:
    """Measure and report; the picture for README is taken on the way."""
    waits, loads = [], []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        home = taught_home(Path(folder, "home"), backbone_home(), 0, 0)
        for number, thing in enumerate(SHOWN):
            with running(home, [f"sample://{thing}?fps=15&seed=4"]) as daemon:
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                seconds, size = load(page, daemon.address)
                loads.append(seconds)
                if number < len(SHOWN) - 1:
                    waits.append(hold(page, thing))
                if number == len(SHOWN) - 2:
                    page.mouse.wheel(0, -5000)
                    page.wait_for_timeout(2500)
                    page.screenshot(path=IMAGES / "page.png")
                page.close()
        browser.close()
    report(
        "page",
        [
            Figure("until the page can be used, nothing cached, worst of six loads, s", max(loads), "<= 1.0"),
            Figure("loaded for it, pictures aside, kB", size / 1000, "<= 200"),
            Figure("from letting go to its name shown, worst of five lessons, s", max(waits), "<= 1.0"),
        ],
        {"waits": waits, "loads": loads},
    )


if __name__ == "__main__":
    main()
