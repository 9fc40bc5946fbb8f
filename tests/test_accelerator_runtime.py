"""Where the runtime goes its own way, or an accelerator fails that worked before: refused, or the CPU stands in."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny
from accelerators import CPU, MISSING, accelerated, ask, ms, open_home, pretended, settle
from daemons import eventually, served

from edgecl import runtime
from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings
from edgecl.errors import AcceleratorUnusable, BackboneDamaged
from edgecl.home import Home
from edgecl.runtime import Execution, open_session


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path)


@pytest.fixture
def pretends():
    with pretended():
        yield


# When it is opened


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("pretends")
def test_a_runtime_that_silently_takes_the_cpu_is_refused():
    expected = f"runs the graph on {CPU}, expected {runtime.PROVIDERS[MISSING]}"
    with pytest.raises(AcceleratorUnusable, match=expected):
        open_session(tiny.trunk("int8"), BackboneSettings(provider=MISSING))


def test_a_provider_that_is_named_and_not_there_is_refused(home):
    ask(home, provider=MISSING)
    with pytest.raises(AcceleratorUnusable, match=f'"{MISSING}".*expected one of cpu'):
        Home.at(home).backbone()


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("pretends")
def test_the_cpu_stands_in_for_an_accelerator_that_was_measured_and_is_gone(home, caplog):
    settle(home, [ms("cpu", 20), ms(MISSING, 1)])
    assert Home.at(home).settings.backbone.provider == MISSING
    with caplog.at_level(logging.WARNING):
        backbone = Home.at(home).backbone()
    assert backbone.provider == CPU
    assert "the CPU stands in" in caplog.text
    assert np.isfinite(backbone.embed_images(tiny.pictures(2))).all()


def test_a_damaged_graph_is_not_blamed_on_the_cpu():
    with pytest.raises(BackboneDamaged, match="could not load"):
        open_session(b"no graph", Execution(threads=1, may_fall_back=True))


# When it runs


ACCELERATED = Execution(precision="int8", provider=MISSING, threads=1, may_fall_back=True)


def test_an_accelerator_that_fails_in_a_run_is_named_with_a_remedy(home):
    named = ACCELERATED.model_copy(update={"may_fall_back": False})
    with accelerated(2):
        backbone = Backbone(home / "current", named)
        backbone.embed_images(tiny.pictures(1))
        with pytest.raises(AcceleratorUnusable, match=f'{MISSING} failed .*out of memory; .* set provider = "cpu"'):
            backbone.embed_images(tiny.pictures(1))


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_the_cpu_goes_on_for_an_accelerator_that_was_measured_and_fails_in_a_run(home, caplog, runs):
    expected = Backbone(home / "current").embed_images(tiny.pictures(3))
    with accelerated(runs), caplog.at_level(logging.WARNING):
        backbone = Backbone(home / "current", ACCELERATED)
        for picture in tiny.pictures(3):
            found = backbone.embed_images([picture])
    assert np.array_equal(found[0], expected[2])
    assert backbone.provider == CPU
    assert (backbone.execution.provider, backbone.execution.threads) == ("cpu", 0)
    assert caplog.text.count("the CPU stands in from now on") == 1


def test_threads_that_fail_at_once_fall_back_once(home, caplog):
    with accelerated(0), caplog.at_level(logging.WARNING):
        backbone = Backbone(home / "current", ACCELERATED)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(backbone.embed_images, [tiny.pictures(1)] * 8))
    assert all(np.array_equal(one, found[0]) for one in found)
    assert caplog.text.count("stands in") == 1


def test_a_run_that_fails_on_the_cpu_is_told_of_and_nothing_stands_in(home, caplog):
    backbone = Backbone(home / "current", ACCELERATED.model_copy(update={"provider": "cpu"}))
    with pytest.raises(BackboneDamaged, match=r"could not run the graph on the CPU: .*; see that there is memory"):
        backbone.embed_activations(np.zeros((1, 2), np.int8))
    assert "stands in" not in caplog.text


def test_a_daemon_goes_on_where_its_accelerator_fails_and_tells_of_it(home):
    settle(home, [ms("cpu", 20), ms(MISSING, 1)])
    with accelerated() as accelerator, served(home) as there:

        def runs_on():
            told = there.client.get("/api/v1/state").json()
            return told["provider"], told["threads"], [news["text"] for news in told["news"]]

        there.show("cup")
        assert runs_on() == (MISSING, 1, [])
        accelerator.left = 0
        there.show("cup")
        assert there.daemon.live["camera1"].trouble is None
        eventually(lambda: runs_on()[:2] == ("cpu", 0))
        assert runs_on()[2] == ["the network runs on cpu with a thread for every core now"]


def test_a_daemon_counts_and_survives_the_failures_of_an_accelerator_that_was_named(home):
    ask(home, provider=MISSING)
    with accelerated() as accelerator, served(home) as there:
        accelerator.left = 0
        there.show("cup")
        assert f"{MISSING} failed in a run" in there.daemon.live["camera1"].trouble
        assert 'edgecl_frames_failed_total{camera="camera1"} 1.0' in there.client.get("/metrics").text
        accelerator.left = 10
        there.show("cup", 1)
        assert there.daemon.live["camera1"].trouble is None
