"""A button or a key is held, and what was before the camera is known."""

from __future__ import annotations

import re

import pytest
from daemons import eventually, served

pytest.importorskip("playwright.sync_api")

from pages import PHONE, answer, counts, go, held, look_through, opened, press, see, teach
from playwright.sync_api import expect

COUNTED = """
const count = document.getElementById("count");
window.counted = [];
new MutationObserver(() => counted.push(count.textContent)).observe(count, { childList: true });
"""


def test_two_things_that_were_held_are_told_apart(page):
    teach(page, "whiskers", "camera1")
    teach(page, "mug", "camera2")
    expect(page.get_by_test_id("report")).to_have_text(re.compile(r"Knows 2 classes\. mug: .*the others"))
    answer(page, "camera1", "whiskers")
    answer(page, "camera2", "mug")


def test_the_last_lesson_is_undone(taught, there):
    answer(taught, "camera2", "mug")
    taught.get_by_test_id("undo").click()
    expect(taught.get_by_test_id("class-card")).to_have_count(1)
    expect(taught.get_by_test_id("answer")).not_to_have_text("mug")
    assert list(counts(there)) == ["whiskers"]


def test_a_guide_leads_to_two_things_and_leaves(page):
    expect(page.get_by_test_id("guide")).to_contain_text("These are sample photographs")
    teach(page, "whiskers", "camera1")
    expect(page.get_by_test_id("guide")).to_contain_text("another photograph than whiskers")
    teach(page, "mug", "camera2")
    expect(page.get_by_test_id("guide")).to_contain_text("Now watch: it knows either")
    answer(page, "camera1", "whiskers")
    expect(page.get_by_test_id("guide")).to_be_hidden()


def test_who_wants_no_guide_lets_it_go(page):
    page.get_by_role("button", name="Dismiss the first steps").click()
    expect(page.get_by_test_id("guide")).to_be_hidden()
    teach(page, "whiskers", "camera1")
    expect(page.get_by_test_id("guide")).to_be_hidden()


def test_the_guide_says_to_who_listens_at_which_step_they_are(page):
    expect(page.get_by_test_id("guide").locator("[aria-current=step]")).to_contain_text("Step 1 of 3: These are")
    teach(page, "whiskers", "camera1")
    expect(page.get_by_test_id("guide").locator("[aria-current=step]")).to_contain_text("Step 2 of 3: Wait for")


def test_before_a_camera_the_guide_says_to_hold_something(browser, home):
    with served(home) as there, opened(browser, there) as page:
        expect(page.get_by_test_id("guide")).to_contain_text("Hold something before the camera")


def test_who_taught_two_things_before_needs_no_guide(known_page):
    expect(known_page.get_by_test_id("class-card").nth(1)).to_be_visible()
    expect(known_page.get_by_test_id("guide")).to_be_hidden()


def test_on_a_phone_all_that_the_first_step_speaks_of_is_in_sight(page):
    height = page.viewport_size["height"]
    expect(page.get_by_test_id("guide")).to_be_visible()
    for testid in ("guide", "live", "class-name", "add-class"):
        box = page.get_by_test_id(testid).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height, testid


def test_while_the_button_is_held_frames_are_counted_with_advice(page):
    page.get_by_test_id("class-name").fill("whiskers")
    button = page.get_by_test_id("add-class")
    with held(page, button):
        expect(page.locator("#panel-teach")).to_contain_text(re.compile(r"[1-9]\d* kept · \d+ redundant · \d+ refused"))
    expect(button).to_have_attribute("aria-pressed", "false")


def test_a_card_teaches_its_own_class_while_its_button_is_held(taught, there):
    before = counts(there)
    look_through(taught, "camera1")
    button = taught.get_by_role("button", name="Hold to teach whiskers")
    with held(taught, button):
        see(taught, 3)
    expect(taught.get_by_test_id("report")).to_contain_text("whiskers:")
    after = counts(there)
    assert after["whiskers"] > before["whiskers"]
    assert after["mug"] == before["mug"]


@pytest.mark.parametrize(("key", "label", "camera"), [("1", "whiskers", "camera1"), ("2", "mug", "camera2")])
def test_a_key_teaches_its_own_class_while_it_is_held(taught, there, key, label, camera):
    before = counts(there)
    look_through(taught, camera)
    taught.locator("h1").click()  # away from where a name is typed
    taught.keyboard.down(key)
    see(taught, 3)
    taught.keyboard.up(key)
    eventually(lambda: counts(there) != before)
    assert counts(there).keys() == before.keys()
    assert [name for name, count in counts(there).items() if count > before[name]] == [label]


def test_the_space_bar_teaches_while_it_is_held(page):
    page.get_by_test_id("class-name").fill("whiskers")
    page.get_by_test_id("add-class").focus()
    page.keyboard.down("Space")
    see(page)
    page.keyboard.up("Space")
    expect(page.get_by_test_id("report")).to_contain_text("whiskers:")


def test_who_is_alone_gets_a_countdown_and_then_a_lesson(page):
    page.evaluate(COUNTED)
    page.get_by_test_id("class-name").fill("whiskers")
    page.get_by_test_id("countdown").first.click()
    expect(page.get_by_test_id("report")).to_contain_text("whiskers:")
    assert page.evaluate("counted") == ["3", "2", "1"]


def test_a_page_that_is_closed_in_mid_lesson_leaves_a_whole_one(browser, there):
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    go(page, there)
    page.get_by_test_id("class-name").fill("whiskers")
    press(page, page.get_by_test_id("add-class"))
    see(page, 3)
    context.close()
    eventually(lambda: not there.daemon.state.holds)
    assert counts(there)["whiskers"] >= 3


def test_a_refusal_is_shown_in_words_and_nothing_typed_is_lost(page):
    page.get_by_test_id("class-name").fill("a/b")
    page.get_by_test_id("add-class").click()
    expect(page.locator("#notes")).to_contain_text("found a path in the label")
    expect(page.get_by_test_id("class-name")).to_have_value("a/b")
