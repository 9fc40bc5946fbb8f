"""The part of the picture that counts is drawn over it."""

from __future__ import annotations

import re

import pytest
from daemons import Served, eventually

pytest.importorskip("playwright.sync_api")

from pages import look_through
from playwright.sync_api import Page, expect

TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def draw(page: Page, *points: tuple[float, float], drag: bool = False) -> None:
    """Choose the part of camera1 that counts, at points in shares of its picture."""
    look_through(page, "camera1")  # else it is the one that is open first
    expect(page.locator("#view")).to_have_attribute("style", re.compile("--ratio: 1.3333"))  # its shape has come
    page.get_by_role("button", name="Region").click()
    page.get_by_role("button", name="Draw it").click()
    expect(page.locator("dialog[open], .eye.away")).to_have_count(0)
    page.evaluate(TWO_FRAMES)  # until then Chromium gives what is pressed to the dialog that it still shows
    box = page.locator("#region").bounding_box()
    for place, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not drag or place == 0:
            page.mouse.down()
        if not drag or place == len(points) - 1:
            page.mouse.up()


def region_of(there: Served) -> list[list[float]]:
    return there.client.get("/api/v1/cameras").json()[0]["region"]


def test_the_part_that_counts_is_dragged_over_the_picture(page, there):
    draw(page, (0.2, 0.25), (0.7, 0.5), (0.8, 0.75), drag=True)
    eventually(lambda: region_of(there))
    (left, top), (right, _), (_, low), _ = region_of(there)
    assert (left, top, right, low) == pytest.approx((0.2, 0.25, 0.8, 0.75), abs=0.01)


def test_the_part_that_counts_is_outlined_corner_by_corner(page, there):
    draw(page, (0.2, 0.2), (0.8, 0.3), (0.5, 0.9), (0.21, 0.19))
    eventually(lambda: region_of(there))
    flat = [value for corner in region_of(there) for value in corner]
    assert flat == pytest.approx([0.2, 0.2, 0.8, 0.3, 0.5, 0.9], abs=0.01)
    expect(page.locator("#region .part")).to_have_count(1)
