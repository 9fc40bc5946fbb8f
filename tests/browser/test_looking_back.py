"""How good the memory is, what was taught, which release runs, and the memory as a file."""

from __future__ import annotations

import pytest
import tiny
from daemons import served, untaught

pytest.importorskip("playwright.sync_api")

from pages import DESK, counts, opened
from playwright.sync_api import expect


def test_the_quality_of_the_memory_is_shown(known_page):
    known_page.get_by_test_id("quality").click()
    expect(known_page.locator("#panel-quality table").first).to_contain_text("fork")
    expect(known_page.locator("#panel-quality")).to_contain_text("Mixed up")


def test_an_example_is_opened_on_the_map_and_deleted(known, known_page):
    before = sum(counts(known).values())
    known_page.get_by_test_id("quality").click()
    known_page.get_by_test_id("map").locator("circle").last.click()  # the last is above all others
    expect(known_page.locator("dialog h2")).to_contain_text("Example of")
    known_page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(known_page.locator("#notes")).to_contain_text("took out an example of")
    assert sum(counts(known).values()) == before - 1


def test_the_history_has_every_lesson_and_the_release(known_page):
    known_page.get_by_test_id("history").click()
    expect(known_page.locator("#panel-history")).to_contain_text("taught cup")
    expect(known_page.locator("#panel-history")).to_contain_text("taught fork")
    expect(known_page.get_by_test_id("release")).to_contain_text("Release 1, which runs")


def test_the_newest_lesson_is_undone_in_the_history(known, known_page):
    known_page.get_by_test_id("history").click()
    known_page.get_by_test_id("undo-newest").click()
    expect(known_page.locator("#panel-history")).to_contain_text("(undone)")
    assert list(counts(known)) == ["cup"]


def test_a_backup_is_downloaded(known_page):
    known_page.get_by_test_id("history").click()
    with known_page.expect_download() as download:
        known_page.get_by_role("link", name="Download a backup").click()
    assert download.value.suggested_filename.startswith("edgecl-")


def test_a_release_is_installed_looked_at_and_rolled_back(browser, tmp_path):
    home = untaught(tmp_path)
    tiny.candidate(home, change=0.1)
    with served(home) as there:
        there.teach("cup")
        with opened(browser, there, DESK) as page:
            page.get_by_test_id("history").click()
            page.get_by_role("button", name="Install").click()
            newest = page.get_by_test_id("release").first
            expect(newest).to_contain_text("Release 2, which runs")
            newest.get_by_role("button", name="Report").click()
            expect(page.locator("dialog img")).to_be_visible()
            page.keyboard.press("Escape")
            newest.get_by_role("button", name="Back to release 1…").click()
            page.locator("dialog").get_by_role("button", name="Back to release 1").click()
            expect(page.get_by_test_id("release").nth(1)).to_contain_text("Release 1, which runs")
            assert there.client.get("/api/v1/state").json()["release"] == 1


def test_a_backup_is_put_back(known, known_page, tmp_path):
    backup = tmp_path / "cup.backup"
    backup.write_bytes(known.client.get("/api/v1/memory/backup").content)
    known.teach("spoon")
    expect(known_page.get_by_test_id("class-card")).to_have_count(3)
    known_page.get_by_test_id("history").click()
    known_page.get_by_label("A backup of the memory").set_input_files(backup)
    known_page.get_by_role("button", name="Put it back").click()
    known_page.locator("dialog").get_by_role("button", name="Put it back").click()
    expect(known_page.locator("#notes")).to_contain_text("It knows 2 classes now.")
    known_page.get_by_test_id("tab-teach").click()
    expect(known_page.get_by_test_id("class-card")).to_have_count(2)
