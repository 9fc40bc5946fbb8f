"""A home that was taught, a broker, and a world of both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from brokers import broker, listening
from daemons import untaught
from mqtt_worlds import World, teach

from edgecl.daemon.daemon import Daemon
from edgecl.home import Home


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A home in which cup and fork were taught; nobody changes it."""
    home = untaught(tmp_path_factory.mktemp("made"))
    with (home / "edgecl.toml").open("a") as settings:
        settings.write("[stream]\nsmoothing_s = 0.0\n[camera]\nread_timeout_s = 0.5\n")
    daemon = Daemon(Home.at(home), [])
    teach(daemon, "cup")
    teach(daemon, "fork")
    daemon.close()
    return home


@pytest.fixture
def home(made, tmp_path):
    """A copy of it, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "home", symlinks=True))


@pytest.fixture
def near(tmp_path):
    """A broker that lets in everyone."""
    with broker(tmp_path) as found:
        yield found


@pytest.fixture
def world(home, near):
    """A daemon in that home, which tells that broker once it begins."""
    with listening(near.port) as ear:
        found = World(home, near, ear)
        try:
            yield found
        finally:
            found.close()
