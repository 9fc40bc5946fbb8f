"""A browser, daemons to open it at, and the page of each."""

from __future__ import annotations

import pytest
from daemons import served, untaught

from edgecl.releases import install_first


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from pages import chromium

    with chromium(tmp_path_factory.mktemp("webcam")) as found:
        yield found


@pytest.fixture
def home(tmp_path, backbone_folder):
    """A home with the real backbone in which nothing was taught."""
    install_first(tmp_path / "home", backbone_folder)
    return tmp_path / "home"


@pytest.fixture
def there(home):
    """A daemon that looks at a cat and at a cup of coffee."""
    with served(home, ["sample://cat?fps=15&seed=4", "sample://coffee?fps=15&seed=4"]) as found:
        yield found


@pytest.fixture
def page(browser, there):
    """Its page."""
    from pages import opened

    with opened(browser, there) as found:
        yield found


@pytest.fixture
def taught(page):
    """Its page, with two things taught."""
    from pages import teach

    teach(page, "whiskers", "camera1")
    teach(page, "mug", "camera2")
    return page


@pytest.fixture
def known(tmp_path):
    """A daemon with the tiny backbone that knows a cup and a fork, and looks through a browser's camera."""
    with served(untaught(tmp_path)) as found:
        found.teach("cup", 8)
        found.teach("fork", 5)
        yield found


@pytest.fixture
def known_page(browser, known):
    """Its page."""
    from pages import opened

    with opened(browser, known) as found:
        yield found
