"""The page in a real browser: how much is loaded, how fast, and how soon a thing that was held is recognised."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from support.daemons import running, taught_home
from support.record import Figure, backbone_home, report

CHROMIUM = os.environ.get("EDGECL_CHROMIUM", "/usr/bin/chromium")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
IMAGES = Path(__file__).parent.parent / "docs" / "img"
HELD_S = 3.0
SHOWN = ("cat", "coffee", "rocket", "astronaut", "motorcycle", "coins")


def load(page: Page, address: str) -> tuple[float, int]:
    """Seconds until the page can be used, with nothing in a cache, and bytes that came for it, pictures aside."""
    counted: list[int] = []

    def count(response: Any) -> None:
        if "/api/" not in response.url:
            counted.append(len(response.body()))

    page.on("requestfinished", lambda request: count(request.response()))
    began = time.monotonic()
    page.goto(address)
    page.wait_for_selector("[data-testid=class-name]")
    page.wait_for_function("document.getElementById('line').textContent.includes('knows')")
    seconds = time.monotonic() - began
    page.wait_for_timeout(500)
    return seconds, sum(counted)


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
    waits = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        home = taught_home(Path(folder, "home"), backbone_home(), 0, 0)
        for number, thing in enumerate(SHOWN):
            with running(home, [f"sample://{thing}?fps=15&seed=4"]) as daemon:
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                seconds, size = load(page, daemon.address)
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
            Figure("until the page can be used, nothing cached, s", seconds, "<= 1.0"),
            Figure("loaded for it, pictures aside, kB", size / 1000, "<= 200"),
            Figure("from letting go to its name shown, worst of five lessons, s", max(waits), "<= 1.0"),
        ],
        {"waits": waits},
    )


if __name__ == "__main__":
    main()
