"""The page in Debian's Chromium, used as a person uses it."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
from commands import picture
from daemons import Served
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

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
PATIENCE_MS = 60_000  # for a busy machine; what is waited for takes moments
PHONE, DESK, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}, {"width": 1920, "height": 1080}
KEPT_EVERY_S = 1.05  # a frame of a camera, for a while
VIEWS = 12  # in a lesson: what a person holds for some seconds

STANDS_STILL = """(one) => new Promise((done) => {
  let place = "", since = 0;
  const look = (now) => {
    const box = JSON.stringify(one.getBoundingClientRect());
    if (box !== place) [place, since] = [box, now];
    if (now - since > 300) done();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
SEEN = "(views) => [...document.querySelectorAll('.seen')].some((one) => parseInt(one.textContent) >= views)"

expect.set_options(timeout=PATIENCE_MS)


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Chromium with a real clip in the place of a webcam: frames of a photograph in someone's hand."""
    assert CHROMIUM.exists(), f"found no Chromium at {CHROMIUM}, expected Debian's; run: make system"
    clip = folder / "clip.mjpeg"
    clip.write_bytes(b"".join(photograph("cat", number / 15) for number in range(60)))
    with sync_playwright() as player:
        options = [*OPTIONS, f"--use-file-for-fake-video-capture={clip}"]
        browser = player.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser: Browser, there: Served, size=PHONE, script: str = "") -> Iterator[Page]:
    """The page, which must not fail in silence; `script` runs before its own."""
    context = browser.new_context(viewport=size)
    failures: list[str] = []
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(script)
        go(page, there)
        expect(page.locator("#line")).to_contain_text("knows")
        yield page
    finally:
        context.close()
    assert failures == []


# What a person does


def go(page: Page, there: Served) -> None:
    """Open the page, whose stream of pictures need not have begun."""
    page.goto(there.address, wait_until="domcontentloaded")


def look_through(page: Page, camera: str) -> None:
    page.get_by_role("combobox", name="Camera").select_option(camera)


def press(page: Page, button: Locator) -> None:
    """Press a button once it stands still, and do not let go."""
    button.scroll_into_view_if_needed()
    button.evaluate(STANDS_STILL)
    button.hover()
    page.mouse.down()
    expect(button).to_have_attribute("aria-pressed", "true")


@contextlib.contextmanager
def held(page: Page, button: Locator) -> Iterator[None]:
    """A button that is pressed until the block ends."""
    press(page, button)
    yield
    page.mouse.up()


def see(page: Page, views: int = VIEWS) -> None:
    """Return once a lesson has so many views."""
    page.wait_for_function(SEEN, arg=views)


def hold(page: Page, label: str) -> None:
    """Teach something new by holding its button; return once it is known."""
    page.get_by_test_id("class-name").fill(label)
    with held(page, page.get_by_test_id("add-class")):
        see(page)
    expect(page.get_by_test_id("report")).to_contain_text(f"{label}:")
    expect(page.get_by_test_id("class-card").filter(has_text=label)).to_be_visible()


def teach(page: Page, label: str, camera: str) -> None:
    """The same with what a camera shows."""
    look_through(page, camera)
    expect(page.locator("#moments li").first).to_be_attached()  # they push away what is below
    hold(page, label)


def answer(page: Page, camera: str, label: str) -> None:
    look_through(page, camera)
    expect(page.get_by_test_id("answer")).to_have_text(label)


# What is held before a browser's camera


def photograph(name: str, at_s: float) -> bytes:
    """A photograph in someone's hand, as JPEG."""
    return cv2.imencode(".jpg", picture(name, seed=5, at_s=at_s))[1].tobytes()


@contextlib.contextmanager
def beside(show: Callable[[threading.Event], None]) -> Iterator[None]:
    """Let it show something until the block ends, of which it is told."""
    over = threading.Event()
    thread = threading.Thread(target=show, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def shown(there: Served, label: str) -> AbstractContextManager[None]:
    """A thing stands before the camera as long as the block lasts."""

    def show(over: threading.Event) -> None:
        for view in itertools.count():
            there.show(label, view % 50)
            if over.wait(0.05):
                return

    return beside(show)


def turned(there: Served, name: str, away_s: float = 0.0) -> AbstractContextManager[None]:
    """A photograph is turned before the camera as long as the block lasts; after each eight frames it is away."""

    def show(over: threading.Event) -> None:
        for number in itertools.count(1):
            body = photograph(name, 0.8 * number)
            assert there.client.put("/api/v1/cameras/camera1/frame", content=body).status_code == 204
            if over.wait(KEPT_EVERY_S + (away_s if number % 8 == 0 else 0.0)):
                return

    return beside(show)


# What the daemon says, beside the page


def counts(there: Served) -> dict[str, int]:
    """How many examples are kept of each class."""
    return {one["label"]: one["examples"] for one in there.client.get("/api/v1/classes").json()}


def pictures(there: Served, label: str) -> list[bytes]:
    """Of what is kept of a class, in no order that means something."""
    numbers = [one["example"] for one in there.client.get("/api/v1/examples", params={"label": label}).json()]
    return sorted(there.client.get(f"/api/v1/examples/{number}.jpg").content for number in numbers)
