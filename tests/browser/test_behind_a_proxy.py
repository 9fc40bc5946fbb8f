"""The page below a path of a reverse proxy that has asked people to log in."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import pytest
from daemons import served, untaught

pytest.importorskip("playwright.sync_api")

from ingress import FROM, SESSION, ingress
from pages import DESK, PATIENCE_MS, answer, go, teach
from playwright.sync_api import expect

TOKEN = "0123456789abcdef"
CAMERAS = ["sample://cat?fps=15&seed=4", "sample://coffee?fps=15&seed=4"]


@contextlib.contextmanager
def person(browser, at):
    """The page of someone who is logged in at the proxy, and what it asked for."""
    with contextlib.closing(browser.new_context(viewport=DESK)) as context:
        name, _, value = SESSION.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": at.address, "sameSite": "Strict"}])
        page, asked = context.new_page(), []
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda line: asked.append(line.url))
        go(page, at)
        yield page, asked


def test_who_is_logged_in_at_a_trusted_proxy_looks_and_teaches_below_its_path(browser, home):
    with contextlib.ExitStack() as opened:
        there = opened.enter_context(served(home, CAMERAS, TOKEN, trusted_proxy=FROM))
        proxy = opened.enter_context(ingress(there.address))
        page, asked = opened.enter_context(person(browser, proxy))
        expect(page.locator("#line")).to_contain_text("knows 0 classes")
        page.wait_for_function("() => document.getElementById('picture').naturalWidth > 0")
        teach(page, "whiskers", "camera1")
        teach(page, "mug", "camera2")
        answer(page, "camera1", "whiskers")
        answer(page, "camera2", "mug")
        prefix = urlsplit(proxy.address).path
        assert [url for url in asked if not urlsplit(url).path.startswith(prefix)] == []
        assert any(url.startswith("ws:") for url in asked)


def test_a_person_logs_in_below_the_path_of_a_proxy_that_is_not_trusted(browser, tmp_path):
    with contextlib.ExitStack() as opened:
        there = opened.enter_context(served(untaught(tmp_path), token=TOKEN))
        proxy = opened.enter_context(ingress(there.address, keeps_host=True))
        page, _ = opened.enter_context(person(browser, proxy))
        page.get_by_label("Token of this device").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token of this device").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#line")).to_contain_text("knows 0 classes")
        assert page.url == proxy.address
        sessions = [one["path"] for one in page.context.cookies() if one["name"] == "edgecl_session"]
        assert sessions == [urlsplit(proxy.address).path.rstrip("/")]
