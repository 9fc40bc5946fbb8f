"""The page as a whole: for everyone, from the device alone, and honest about what is lost."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from daemons import eventually, served

pytest.importorskip("playwright.sync_api")

from axe_playwright_python.sync_playwright import Axe
from pages import DESK, PATIENCE_MS, PHONE, go, held, opened, see, turned
from playwright.sync_api import expect

from edgecl.board import Readings
from edgecl.effort import Effort

TOO_WIDE = """
[...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .filter((one) => !one.closest(".scroll, .strip, [role=tablist]"))
  .map((one) => one.outerHTML.slice(0, 80))
"""
FILLED = {
    "tab-teach": "[data-testid=class-card]",
    "review": "[data-testid=review-empty], #panel-review img.big",
    "quality": "[data-testid=map]",
    "history": "[data-testid=release]",
}


def test_a_camera_that_is_lost_is_told_in_place_of_a_stale_picture(browser, home):
    with served(home, ["usb:77"]) as there, opened(browser, there) as page:
        expect(page.locator("#trouble")).to_contain_text("found no camera usb:77")


def test_a_hot_board_is_told_with_what_is_left_off_for_it(browser, home):
    with served(home) as there, opened(browser, there) as page:
        there.daemon.owner.set_effort(Effort(), Readings(61.2))
        expect(page.locator("#line")).to_have_text("knows 0 classes · 61 °C")
        there.daemon.owner.set_effort(Effort(2, True, "it is 81 °C hot"), Readings(81.0))
        expect(page.locator("#line")).to_have_text("slower: it is 81 °C hot")
        there.daemon.owner.set_effort(Effort(2, False, "it is 86 °C hot"), Readings(86.0))
        expect(page.locator("#line")).to_have_text("learning rests: it is 86 °C hot")
        page.get_by_test_id("class-name").fill("cat")
        with turned(there, "cat"), held(page, page.get_by_test_id("add-class")):
            see(page, 3)
        expect(page.get_by_test_id("report")).to_contain_text("cat is kept, and learned later: it is 86 °C hot.")


def test_a_page_without_a_picture_yet_has_loaded_all_the_same(browser, home):
    with served(home) as there, opened(browser, there) as page:
        page.wait_for_load_state("load")
        views = itertools.count()

        def is_shown() -> bool:
            there.show("cup", next(views))
            return page.evaluate("() => document.getElementById('picture').naturalWidth") > 0

        eventually(is_shown)


def test_a_daemon_that_is_gone_is_told_and_awaited(browser, home):
    with contextlib.ExitStack() as longer:
        with served(home) as there:
            page = longer.enter_context(opened(browser, there))
        expect(page.locator("#line")).to_contain_text("does not answer; trying again")


def test_a_person_without_the_token_is_asked_for_it(browser, home):
    with served(home, token="0123456789abcdef") as there, contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        go(page, there)
        page.get_by_label("Token of this device").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token of this device").fill("0123456789abcdef")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#line")).to_contain_text("knows")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_everyone_can_use_it(browser, there, size, scheme):
    there.teach("cup", 3)
    there.teach("fork", 3)
    with opened(browser, there, size) as page:
        page.emulate_media(color_scheme=scheme)
        for tab, content in FILLED.items():
            page.get_by_test_id(tab).click()
            expect(page.locator(content).first).to_be_visible()
            found = Axe().run(page).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"][:100]) for one in found] == [], tab
            assert page.evaluate(TOO_WIDE) == [], f"nothing is cut off at the side: {tab}"


def test_all_of_it_comes_from_the_device_itself(browser, there):
    asked: list[str] = []
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        go(page, there)
        expect(page.locator("#line")).to_contain_text("knows")
    assert {url.split("/")[2] for url in asked} == {there.address.removeprefix("http://")}
