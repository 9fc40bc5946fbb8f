"""What is known is renamed, merged, forgotten and corrected; names stay text."""

from __future__ import annotations

import pytest
from daemons import jpeg, thing

pytest.importorskip("playwright.sync_api")

from pages import counts, pictures, shown
from playwright.sync_api import Locator, Page, expect

HTML = "<b>zebra"  # an element to whoever takes it for HTML; the end of one has a slash, which no name may have


def more_for(page: Page, label: str) -> Locator:
    """The dialog about a class."""
    page.get_by_label(f"More for {label}", exact=True).click()
    expect(page.locator("#dialog-title")).to_have_text(label)
    return page.locator("dialog")


def test_a_class_is_renamed(known, known_page):
    before = counts(known)
    dialog = more_for(known_page, "fork")
    dialog.get_by_label("Name", exact=True).fill("🍴 Gabel")
    dialog.get_by_role("button", name="Rename").click()
    expect(known_page.get_by_test_id("class-card").nth(1)).to_contain_text("🍴 Gabel")
    assert counts(known) == {"cup": before["cup"], "🍴 Gabel": before["fork"]}


def merge(page: Page, label: str, into: str) -> None:
    dialog = more_for(page, label)
    dialog.get_by_label("It is the same thing as").select_option(into)
    dialog.get_by_role("button", name="Merge").click()
    expect(page.get_by_test_id("class-card")).to_have_count(1)


def test_a_class_that_is_merged_leaves_one_card_with_the_examples_of_both(known, known_page):
    before, both = counts(known), sorted(pictures(known, "cup") + pictures(known, "fork"))
    merge(known_page, "fork", into="cup")
    expect(known_page.get_by_test_id("class-card")).to_contain_text(f"{before['cup'] + before['fork']} examples")
    assert counts(known) == {"cup": before["cup"] + before["fork"]}
    assert pictures(known, "cup") == both


def test_a_merge_is_taken_back(known, known_page):
    before = counts(known)
    merge(known_page, "fork", into="cup")
    known_page.locator("#notes").get_by_role("button", name="Undo").click()
    expect(known_page.get_by_test_id("class-card")).to_have_count(2)
    assert counts(known) == before


def test_a_class_is_forgotten_with_proof(known, known_page):
    more_for(known_page, "fork").get_by_role("button", name="Forget…").click()
    known_page.get_by_role("button", name="Delete for good").click()
    expect(known_page.locator("dialog")).to_contain_text("none is left")
    known_page.get_by_role("button", name="Close").click()
    expect(known_page.get_by_test_id("class-card")).to_have_count(1)
    assert list(counts(known)) == ["cup"]


def expect_text(place: Locator, text: str, bold: str) -> None:
    """That the text is shown there, and that no element of the whole page was made of it."""
    expect(place).to_contain_text(text)
    assert place.page.locator("b").filter(has_text=bold).count() == 0


def test_a_class_name_that_is_html_is_text_wherever_it_is_shown(known, known_page):
    known.teach(HTML)
    known.client.post("/api/v1/reviews", content=jpeg(thing(HTML, 60))).raise_for_status()
    with shown(known, HTML):
        for place in ("#label", "#moments span >> nth=0", "#panel-teach"):
            expect_text(known_page.locator(place), HTML, "zebra")
        known_page.get_by_test_id("why-button").click()
        expect_text(known_page.get_by_test_id("why"), HTML, "zebra")
        known_page.get_by_test_id("correct").click()
        expect_text(known_page.locator("dialog"), HTML, "zebra")
        known_page.keyboard.press("Escape")
    for tab in ("review", "quality", "history"):
        known_page.get_by_test_id(tab).click()
        expect_text(known_page.locator(f"#panel-{tab}"), HTML, "zebra")


def test_a_name_with_html_that_is_refused_is_repeated_as_text(known, known_page):
    with shown(known, "cup"):
        known_page.get_by_test_id("class-name").fill("<b>x</b>")
        known_page.get_by_test_id("add-class").click()
        expect_text(known_page.locator("#notes"), "<b>x</b>", "x")


def test_an_answer_is_explained(known, known_page):
    with shown(known, "cup"):
        expect(known_page.get_by_test_id("answer")).to_have_text("cup")
        known_page.get_by_test_id("why-button").click()
        expect(known_page.get_by_test_id("why")).to_contain_text("It is called cup")
        expect(known_page.get_by_test_id("why").locator("img").first).to_be_visible()


def test_an_answer_is_denied(known, known_page):
    with shown(known, "cup"):
        expect(known_page.locator("#moments span").first).to_have_text("cup")
        expect(known_page.get_by_test_id("answer")).to_have_text("cup")
        known_page.get_by_test_id("not-this").click()
        expect(known_page.locator("#notes")).to_contain_text("Noted: that is not cup.")


def test_an_answer_is_corrected_with_a_name_that_is_new(known, known_page):
    before = counts(known)
    with shown(known, "cup"):
        expect(known_page.locator("#moments span").first).to_have_text("cup")
        expect(known_page.get_by_test_id("answer")).to_have_text("cup")
        known_page.get_by_test_id("correct").click()
        known_page.locator("dialog").get_by_label("Name").fill("tiger")
        known_page.get_by_role("button", name="This", exact=True).click()
        expect(known_page.get_by_test_id("class-card")).to_have_count(3)
    assert counts(known) == before | {"tiger": 1}
