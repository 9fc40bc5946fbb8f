"""The page in Debian's Chromium, used as a person uses it, against a real daemon."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import tiny
from commands import picture
from daemons import Served, eventually, served, untaught

from edgecl.releases import install_first

sync_api = pytest.importorskip("playwright.sync_api")

from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

CHROMIUM = Path(os.environ.get("EDGECL_CHROMIUM", "/usr/bin/chromium"))
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
PATIENCE_MS = 30_000
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}

TOO_WIDE = """
[...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .filter((one) => !one.closest(".scroll, .strip, [role=tablist]"))
  .map((one) => one.outerHTML.slice(0, 80))
"""

TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

pytestmark = pytest.mark.xdist_group("browser")  # one at a time is enough for two cores


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """Chromium with a real clip in the place of a webcam: frames of a photograph in someone's hand."""
    assert CHROMIUM.exists(), f"found no Chromium at {CHROMIUM}, expected Debian's; run: make system"
    clip = tmp_path_factory.mktemp("webcam") / "clip.mjpeg"
    with clip.open("wb") as file:
        for number in range(60):
            file.write(cv2.imencode(".jpg", picture("cat", at_s=number / 15))[1].tobytes())
    with sync_playwright() as player:
        options = [*OPTIONS, f"--use-file-for-fake-video-capture={clip}"]
        browser = player.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield browser
        browser.close()


@pytest.fixture
def home(tmp_path, backbone_folder):
    install_first(tmp_path / "home", backbone_folder)
    return tmp_path / "home"


@pytest.fixture
def there(home):
    with served(home, ["sample://cat?fps=15&seed=4", "sample://coffee?fps=15&seed=4"]) as found:
        yield found


@pytest.fixture
def page(browser, there) -> Iterator[Page]:
    yield from opened(browser, there, PHONE)


def opened(browser: Browser, there: Served, size) -> Iterator[Page]:
    """The page, which must not fail in silence."""
    context = browser.new_context(viewport=size)
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.goto(there.address)
    expect(page.locator("#line")).to_contain_text("knows")
    yield page
    context.close()
    assert failures == []


def look_through(page: Page, camera: str) -> None:
    page.get_by_role("combobox", name="Camera").select_option(camera)


def hold(page: Page, button, seconds: float = 2.5) -> None:
    """Press a button, once it stands still, for so long."""
    button.hover()
    page.mouse.down()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(1000 * seconds)
    page.mouse.up()


def teach(page: Page, label: str, camera: str) -> None:
    look_through(page, camera)
    page.get_by_test_id("class-name").fill(label)
    hold(page, page.get_by_test_id("add-class"))
    expect(page.get_by_test_id("report")).to_contain_text(label)
    expect(page.get_by_test_id("class-card").filter(has_text=label)).to_be_visible()


def answer(page: Page, camera: str, label: str) -> None:
    look_through(page, camera)
    expect(page.get_by_test_id("answer")).to_have_text(label)


@pytest.fixture
def taught(page):
    """The page, with two things taught."""
    teach(page, "whiskers", "camera1")
    teach(page, "mug", "camera2")
    return page


def test_two_things_that_were_held_are_told_apart_and_the_last_is_undone(page):
    expect(page.get_by_test_id("guide")).to_be_visible()
    teach(page, "whiskers", "camera1")
    teach(page, "mug", "camera2")
    expect(page.get_by_test_id("class-card")).to_have_count(2)
    expect(page.get_by_test_id("guide")).to_be_hidden()
    expect(page.get_by_test_id("report")).to_have_text(re.compile(r"Knows 2 classes\. mug: .*the others"))
    answer(page, "camera1", "whiskers")
    answer(page, "camera2", "mug")
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("class-card")).to_have_count(1)
    expect(page.get_by_test_id("answer")).not_to_have_text("mug")


def test_while_the_button_is_held_frames_are_counted_with_advice(page):
    page.get_by_test_id("class-name").fill("whiskers")
    button = page.get_by_test_id("add-class")
    button.hover()
    page.mouse.down()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#panel-teach")).to_contain_text(re.compile(r"[1-9]\d* kept · \d+ redundant · \d+ refused"))
    page.mouse.up()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_a_key_teaches_while_it_is_held(taught):
    look_through(taught, "camera1")
    before = taught.get_by_test_id("class-card").first.inner_text()
    taught.locator("h1").click()
    taught.keyboard.down("1")
    taught.wait_for_timeout(1500)
    taught.keyboard.up("1")
    expect(taught.get_by_test_id("report")).to_contain_text("whiskers")
    assert before


def test_the_space_bar_teaches_while_it_is_held(page):
    page.get_by_test_id("class-name").fill("whiskers")
    page.get_by_test_id("add-class").focus()
    page.keyboard.down("Space")
    page.wait_for_timeout(1500)
    page.keyboard.up("Space")
    expect(page.get_by_test_id("report")).to_contain_text("whiskers")


def test_who_is_alone_gets_a_countdown(page):
    page.get_by_test_id("class-name").fill("whiskers")
    page.get_by_test_id("countdown").first.click()
    expect(page.get_by_test_id("countdown").first).to_have_text("2")
    expect(page.get_by_test_id("report")).to_contain_text("whiskers")


def test_a_page_that_is_closed_in_mid_lesson_leaves_a_whole_one(browser, there):
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(there.address)
    expect(page.locator("#line")).to_contain_text("knows")
    page.get_by_test_id("class-name").fill("whiskers")
    page.get_by_test_id("add-class").hover()
    page.mouse.down()
    page.wait_for_timeout(1500)
    context.close()
    assert eventually(lambda: [one.name for one in there.daemon.state.classes]) == ["whiskers"]
    assert there.daemon.state.holds == {}


def test_a_class_is_renamed_merged_and_forgotten_with_proof(taught):
    taught.get_by_label("More for mug").click()
    taught.locator("dialog").get_by_label("Name", exact=True).fill("<b>cup</b> 🍵".replace("/", "∕"))
    taught.get_by_role("button", name="Rename").click()
    expect(taught.get_by_test_id("class-card").nth(1)).to_contain_text("🍵")
    taught.get_by_label(re.compile("More for .*🍵")).click()
    taught.get_by_role("button", name="Forget…").click()
    taught.get_by_role("button", name="Delete for good").click()
    expect(taught.locator("dialog")).to_contain_text("none is left")
    taught.get_by_role("button", name="Close").click()
    expect(taught.get_by_test_id("class-card")).to_have_count(1)


def test_a_wrong_answer_is_denied_explained_and_corrected(taught):
    answer(taught, "camera1", "whiskers")
    taught.get_by_test_id("why-button").click()
    expect(taught.get_by_test_id("why")).to_contain_text("It is called whiskers")
    expect(taught.get_by_test_id("why").locator("img").first).to_be_visible()
    expect(taught.locator("#moments span").first).to_have_text("whiskers")
    taught.get_by_test_id("not-this").click()
    expect(taught.locator("#notes")).to_contain_text("Noted: that is not whiskers.")
    taught.get_by_test_id("correct").click()
    taught.locator("dialog").get_by_label("Name").fill("tiger")
    taught.get_by_role("button", name="This", exact=True).click()
    expect(taught.get_by_test_id("class-card")).to_have_count(3)


def draw_region(page: Page, *points: tuple[float, float], drag: bool = False) -> None:
    """Choose the part that counts, at points in shares of the picture."""
    expect(page.get_by_test_id("answer")).not_to_have_text("…")
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
    draw_region(page, (0.2, 0.25), (0.7, 0.5), (0.8, 0.75), drag=True)
    eventually(lambda: region_of(there))
    (left, top), (right, _), (_, low), _ = region_of(there)
    assert (left, top, right, low) == pytest.approx((0.2, 0.25, 0.8, 0.75), abs=0.01)


def test_the_part_that_counts_is_outlined_corner_by_corner(page, there):
    draw_region(page, (0.2, 0.2), (0.8, 0.3), (0.5, 0.9), (0.21, 0.19))
    eventually(lambda: region_of(there))
    flat = [value for corner in region_of(there) for value in corner]
    assert flat == pytest.approx([0.2, 0.2, 0.8, 0.3, 0.5, 0.9], abs=0.01)
    expect(page.locator("#region .part")).to_have_count(1)


def test_a_refusal_is_shown_in_words_and_nothing_typed_is_lost(page):
    page.get_by_test_id("class-name").fill("a/b")
    hold(page, page.get_by_test_id("add-class"), 0.3)
    expect(page.locator("#notes")).to_contain_text("found a path in the label")
    expect(page.get_by_test_id("class-name")).to_have_value("a/b")


def test_frames_that_wait_are_named_with_one_key(taught, there):
    def keep(desk):
        from edgecl import review

        moment = desk.moments.of("camera1")[0]
        return [review.keep(desk.learner, moment.candidate, moment.prediction) for _ in range(2)]

    def waiting():  # the daemon may keep more by itself
        return {one.id for one in there.daemon.ask(lambda desk: desk.shelf.reviews()).result()}

    there.daemon.ask(keep).result()
    before = waiting()
    taught.get_by_test_id("review").click()
    expect(taught.locator("#panel-review img.big")).to_be_visible()
    taught.keyboard.press("x")
    eventually(lambda: len(before - waiting()) == 1)
    expect(taught.locator("#panel-review")).to_contain_text("to look at")


def test_the_quality_of_the_memory_is_shown(taught):
    taught.get_by_test_id("quality").click()
    expect(taught.locator("#panel-quality table").first).to_contain_text("whiskers")
    taught.get_by_test_id("map").locator("circle").first.click()
    expect(taught.locator("dialog h2")).to_contain_text("Example of")
    taught.locator("dialog").get_by_role("button", name="Delete").click()
    expect(taught.locator("#notes")).to_contain_text("took out an example of")


def test_the_history_has_every_lesson_and_the_release(taught):
    taught.get_by_test_id("history").click()
    expect(taught.locator("#panel-history")).to_contain_text("taught mug")
    expect(taught.get_by_test_id("release")).to_contain_text("Release 1, which runs")
    with taught.expect_download() as download:
        taught.get_by_role("link", name="Download a backup").click()
    assert download.value.suggested_filename.startswith("edgecl-")
    taught.get_by_test_id("undo-newest").click()
    expect(taught.locator("#panel-history")).to_contain_text("(undone)")


def test_a_release_is_installed_looked_at_and_rolled_back(browser, tmp_path):
    home = untaught(tmp_path)
    tiny.candidate(home, change=0.1)
    with served(home) as there:
        there.teach("cup")
        for page in opened(browser, there, DESK):
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


def test_a_backup_is_put_back(browser, tmp_path):
    with served(untaught(tmp_path)) as there:
        there.teach("cup")
        (tmp_path / "cup.backup").write_bytes(there.client.get("/api/v1/memory/backup").content)
        there.teach("fork")
        for page in opened(browser, there, PHONE):
            expect(page.get_by_test_id("class-card")).to_have_count(2)
            page.get_by_test_id("history").click()
            page.get_by_label("A backup of the memory").set_input_files(tmp_path / "cup.backup")
            page.get_by_role("button", name="Put it back").click()
            page.locator("dialog").get_by_role("button", name="Put it back").click()
            expect(page.locator("#notes")).to_contain_text("It knows 1 class now.")
            page.get_by_test_id("tab-teach").click()
            expect(page.get_by_test_id("class-card")).to_have_count(1)


def show_photograph(there: Served, name: str, seconds: int) -> None:
    """Hold it before the browser's camera, and turn it."""
    for second in range(seconds):
        body = cv2.imencode(".jpg", picture(name, seed=5, at_s=0.8 * second))[1].tobytes()
        assert there.client.put("/api/v1/cameras/camera1/frame", content=body).status_code == 204
        time.sleep(1.05)  # so often a frame is kept for a while


def test_a_new_thing_that_keeps_coming_back_is_named_and_known(browser, home):
    with served(home, ["browser:"]) as there:
        pictures = b"".join(cv2.imencode(".jpg", picture("cat", at_s=view / 2))[1].tobytes() for view in range(12))
        there.client.post("/api/v1/lessons", params={"label": "whiskers"}, content=pictures).raise_for_status()
        for page in opened(browser, there, PHONE):
            page.get_by_test_id("review").click()
            show_photograph(there, "coffee", 8)
            time.sleep(3.5)  # it is away
            show_photograph(there, "coffee", 2)
            card = page.get_by_test_id("newcomer").first
            card.get_by_role("textbox").fill("mug")
            card.get_by_role("textbox").press("Enter")
            expect(page.get_by_test_id("newcomer")).to_have_count(0)
            page.get_by_test_id("tab-teach").click()
            expect(page.get_by_test_id("class-card").nth(1)).to_contain_text("mug")
            show_photograph(there, "coffee", 2)
            expect(page.get_by_test_id("answer")).to_have_text("mug")


def test_a_camera_that_is_lost_is_told_in_place_of_a_stale_picture(browser, home):
    with served(home, ["usb:77"]) as there:
        for page in opened(browser, there, PHONE):
            expect(page.locator("#trouble")).to_contain_text("found no camera usb:77")


def test_a_daemon_that_is_gone_is_told_and_awaited(browser, home):
    with served(home) as there:
        context = browser.new_context(viewport=PHONE)
        page = context.new_page()
        page.goto(there.address)
        expect(page.locator("#line")).to_contain_text("knows", timeout=PATIENCE_MS)
    expect(page.locator("#line")).to_contain_text("does not answer", timeout=PATIENCE_MS)
    context.close()


def test_the_browsers_own_camera_is_looked_through(browser, home):
    with served(home) as there:
        for page in opened(browser, there, PHONE):
            page.get_by_test_id("use-camera").click()
            eventually(lambda: "camera1" in there.daemon.live and there.daemon.live["camera1"].number > 5)
            assert there.daemon.live["camera1"].frame.image.shape == (480, 640, 3)
            page.get_by_test_id("class-name").fill("whiskers")
            hold(page, page.get_by_test_id("add-class"))
            expect(page.get_by_test_id("answer")).to_have_text("whiskers")


def test_a_person_without_the_token_is_asked_for_it(browser, home):
    with served(home, token="0123456789abcdef") as there:
        context = browser.new_context(viewport=PHONE)
        page = context.new_page()
        page.goto(there.address)
        page.get_by_label("Token of this device").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token of this device").fill("0123456789abcdef")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#line")).to_contain_text("knows", timeout=PATIENCE_MS)
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_everyone_can_use_it(browser, there, size, scheme):
    there.teach("cup", 3)
    there.teach("fork", 3)
    for page in opened(browser, there, size):
        page.emulate_media(color_scheme=scheme)
        for tab in ("tab-teach", "review", "quality", "history"):
            page.get_by_test_id(tab).click()
            page.wait_for_timeout(700)
            found = Axe().run(page).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"][:100]) for one in found] == []
        wide = page.evaluate(TOO_WIDE)
        assert wide == [], "nothing is cut off at the side"


def test_all_of_it_comes_from_the_device_itself(browser, there):
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(there.address)
    expect(page.locator("#line")).to_contain_text("knows", timeout=PATIENCE_MS)
    context.close()
    assert {url.split("/")[2] for url in asked} == {there.address.removeprefix("http://")}
