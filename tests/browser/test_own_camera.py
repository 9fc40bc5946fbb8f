"""The page looks through the camera of the computer or phone that shows it."""

from __future__ import annotations

import base64
import json

import pytest
from daemons import Served, eventually, served

pytest.importorskip("playwright.sync_api")

from pages import hold, opened, photograph
from playwright.sync_api import Page, expect

# Before Chromium's own fake webcam there is one thing only; this one is moved gently, and shows what the test says.
WEBCAM = """
const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
const photographs = {};
for (const [name, src] of Object.entries(PHOTOGRAPHS)) photographs[name] = Object.assign(new Image(), { src });
window.shown = null;
let step = 0;
setInterval(() => {
  const draw = canvas.getContext("2d");
  step += 1;
  draw.setTransform(1, 0, 0, 1, 320 + 60 * Math.sin(step / 11), 240 + 40 * Math.cos(step / 15));
  draw.rotate(0.3 * Math.sin(step / 19));
  draw.scale(1.5 + 0.3 * Math.sin(step / 23), 1.5 + 0.3 * Math.sin(step / 23));
  if (window.shown) draw.drawImage(photographs[window.shown], -320, -240);
}, 66);
navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(15);
"""


def webcam(*names: str) -> str:
    """A script that puts it in the place of the browser's, with these photographs."""
    sources = {name: f"data:image/jpeg;base64,{base64.b64encode(photograph(name, 0.0)).decode()}" for name in names}
    return f"const PHOTOGRAPHS = {json.dumps(sources)};{WEBCAM}"


def answered(there: Served) -> int:
    """How many frames of the camera were answered."""
    live = there.daemon.live.get("camera1")
    return 0 if live is None else live.number


def put_before(page: Page, there: Served, name: str) -> None:
    """Show a photograph to the webcam; return once the daemon has answered frames of it."""
    page.evaluate("(name) => { window.shown = name; }", name)
    past = answered(there)
    eventually(lambda: answered(there) > past + 5)


def test_what_the_browsers_camera_sees_is_sent_as_it_is_and_taught(browser, home):
    with served(home) as there, opened(browser, there) as page:
        page.get_by_test_id("use-camera").click()
        eventually(lambda: "camera1" in there.daemon.live)
        assert there.daemon.live["camera1"].frame.image.shape == (480, 640, 3)
        hold(page, "whiskers")
        expect(page.get_by_test_id("answer")).to_have_text("whiskers")


def test_two_things_before_the_browsers_camera_are_taught_and_told_apart(browser, home):
    with served(home) as there, opened(browser, there, script=webcam("cat", "coffee")) as page:
        page.get_by_test_id("use-camera").click()
        put_before(page, there, "cat")
        hold(page, "whiskers")
        put_before(page, there, "coffee")
        hold(page, "mug")
        expect(page.get_by_test_id("answer")).to_have_text("mug")
        put_before(page, there, "cat")
        expect(page.get_by_test_id("answer")).to_have_text("whiskers")
        put_before(page, there, "coffee")
        expect(page.get_by_test_id("answer")).to_have_text("mug")


def test_a_camera_that_is_stopped_sends_nothing_more(browser, home):
    with served(home) as there, opened(browser, there) as page:
        page.get_by_test_id("use-camera").click()
        expect(page.get_by_test_id("use-camera")).to_have_text("Stop this camera")
        eventually(lambda: "camera1" in there.daemon.live)
        page.get_by_test_id("use-camera").click()
        expect(page.get_by_test_id("use-camera")).to_have_text("Use this camera")
        expect(page.locator("#trouble")).to_contain_text("Waiting for a camera")
