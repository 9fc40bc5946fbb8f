"""Frames that nobody is sure about, and new things that keep coming back, wait for a person."""

from __future__ import annotations

import pytest
from daemons import Served, jpeg, served, thing, untaught

pytest.importorskip("playwright.sync_api")

from pages import DESK, PHONE, WIDE, counts, opened, photograph, pictures, turned
from playwright.sync_api import Page, expect

NINE = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis")


def waits(there: Served, view: int) -> int:
    """Let a frame wait; gives its number."""
    answer = there.client.post("/api/v1/reviews", content=jpeg(thing("plate", view)))
    return answer.raise_for_status().json()["review"]


def waiting(there: Served) -> list[int]:
    return [one["review"] for one in there.client.get("/api/v1/reviews").json()]


def picture_of(there: Served, review: int) -> bytes:
    return there.client.get(f"/api/v1/reviews/{review}.jpg").content


def expect_asked(page: Page, review: int) -> None:
    """That this frame is the one in question."""
    expect(page.locator("#panel-review img.big")).to_have_attribute("src", f"api/v1/reviews/{review}.jpg")


@pytest.mark.parametrize(("key", "label"), [("1", "ant"), ("5", "eel"), ("9", "ibis")])
def test_a_number_names_the_frame_that_is_shown_after_the_class_of_that_place(browser, tmp_path, key, label):
    with served(untaught(tmp_path)) as there:
        for name in NINE:
            there.teach(name, 3)
        first, second = waits(there, 60), waits(there, 61)
        before, picture = counts(there), picture_of(there, first)
        with opened(browser, there) as page:
            page.get_by_test_id("review").click()
            expect_asked(page, first)
            page.keyboard.press(key)
            expect_asked(page, second)
            expect(page.locator("#notes")).to_contain_text(f"Taught {label}.")
        assert counts(there) == before | {label: before[label] + 1}
        assert picture in pictures(there, label)
        assert waiting(there) == [second]


def test_a_number_of_no_class_names_nothing(known, known_page):
    first, second = waits(known, 60), waits(known, 61)
    before = counts(known)
    known_page.get_by_test_id("review").click()
    expect_asked(known_page, first)
    known_page.keyboard.press("3")
    known_page.keyboard.press("2")  # of these two, the first would be done first
    expect_asked(known_page, second)
    assert counts(known) == before | {"fork": before["fork"] + 1}


def test_x_drops_the_frame_that_is_shown(known, known_page):
    first, second = waits(known, 60), waits(known, 61)
    before = counts(known)
    known_page.get_by_test_id("review").click()
    expect_asked(known_page, first)
    known_page.keyboard.press("x")
    expect_asked(known_page, second)
    assert waiting(known) == [second]
    assert counts(known) == before


def test_n_asks_for_a_name_that_is_new(known, known_page):
    before = counts(known)
    only = waits(known, 60)
    known_page.get_by_test_id("review").click()
    expect_asked(known_page, only)
    known_page.keyboard.press("n")
    known_page.locator("dialog").get_by_label("Name").fill("plate")
    known_page.keyboard.press("Enter")
    expect(known_page.get_by_test_id("review-empty")).to_be_visible()
    assert counts(known) == before | {"plate": 1}


def test_a_new_thing_that_keeps_coming_back_is_named_and_known(browser, home):
    with served(home) as there:
        body = b"".join(photograph("cat", view / 2) for view in range(12))
        there.client.post("/api/v1/lessons", params={"label": "whiskers"}, content=body).raise_for_status()
        with opened(browser, there) as page:
            page.get_by_test_id("review").click()
            card = page.get_by_test_id("newcomer").first
            with turned(there, "coffee", away_s=3.5):
                expect(card).to_be_visible()
            for size in (DESK, WIDE, PHONE):
                page.set_viewport_size(size)
                assert card.get_by_role("textbox").bounding_box()["width"] > 100, size
            card.get_by_role("textbox").fill("mug")
            card.get_by_role("textbox").press("Enter")
            expect(page.get_by_test_id("newcomer")).to_have_count(0)
            page.get_by_test_id("tab-teach").click()
            expect(page.get_by_test_id("class-card").nth(1)).to_contain_text("mug")
            with turned(there, "coffee"):
                expect(page.get_by_test_id("answer")).to_have_text("mug")
