"""An accelerator that passes its probe and ends the daemon all the same: counted, let go of, taken up again by hand."""

import json
import logging
import signal
import subprocess
import sys

import pytest
from accelerators import ASKED, MISSING, ask, fell_out, ms, open_home, settle
from commands import run
from daemons import eventually, running
from probes import probe

from edgecl import doctor
from edgecl.accelerator.beside import measuring
from edgecl.accelerator.execution import execution_of
from edgecl.accelerator.remembered import recall
from edgecl.accelerator.starts import HEALTHY_S, STARTS_FILE, counted, let_go_of
from edgecl.config import BackboneSettings
from edgecl.errors import BackboneDamaged, ConfigRefused, DaemonEnded, StoreBusy
from edgecl.files import exclusive
from edgecl.memory.backup import LOCK
from edgecl.runtime import Execution

ACCELERATED = Execution(precision="int8", provider=MISSING, threads=1, may_fall_back=True)
KILLED = """
import os, signal, sys
from pathlib import Path
from edgecl.accelerator.starts import counted
from edgecl.runtime import Execution
with counted(Path(sys.argv[1]), Execution.model_validate_json(sys.argv[2])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def break_off(home, execution=ACCELERATED):
    """A start that is killed."""
    told = execution.model_dump_json()
    assert subprocess.run([sys.executable, "-c", KILLED, home, told], check=False).returncode == -signal.SIGKILL


def let_go(home, starts=2):
    told = {"format": 1, "provider": MISSING, "broke_off": starts, "runs": False}
    (home / STARTS_FILE).write_text(json.dumps(told))


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path)


@pytest.fixture
def faster(home):
    """A home in which an accelerator is the fastest."""
    settle(home, [ms("cpu", 20, 2), ms(MISSING, 1)])
    assert execution_of(home, ASKED).provider == MISSING
    return home


def test_two_starts_in_a_row_that_broke_off_bring_back_the_cpu(faster):
    break_off(faster)
    assert execution_of(faster, ASKED).provider == MISSING
    break_off(faster)
    assert (execution_of(faster, ASKED).provider, execution_of(faster, ASKED).threads) == ("cpu", 2)


def test_a_start_that_ends_in_order_clears_what_broke_off_before(faster):
    break_off(faster)
    with counted(faster, ACCELERATED):
        pass
    break_off(faster)
    assert execution_of(faster, ASKED).provider == MISSING


def test_a_start_that_went_well_for_some_minutes_clears_them_too(faster):
    clock = iter([0.0, HEALTHY_S - 1.0, HEALTHY_S])
    break_off(faster)
    with counted(faster, ACCELERATED, lambda: next(clock)) as goes_well:
        goes_well()
        assert (faster / STARTS_FILE).exists()
        goes_well()
        assert not (faster / STARTS_FILE).exists()


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (BackboneDamaged("a digest"), False),
        (DaemonEnded("broken"), True),
        (ZeroDivisionError(), True),
        (StoreBusy("held"), False),
        (ConfigRefused("a port that is taken"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_accelerator_is_not_to_blame_for_does_not_count(faster, error, counts):
    break_off(faster)
    with pytest.raises(type(error)), counted(faster, ACCELERATED):
        raise error
    assert (let_go_of(faster) is not None) is counts
    break_off(faster)
    assert let_go_of(faster) is not None


def test_starts_on_another_accelerator_are_counted_anew(faster):
    break_off(faster, ACCELERATED.model_copy(update={"provider": "tensorrt"}))
    break_off(faster)
    assert let_go_of(faster) is None


def test_a_start_that_goes_on_has_not_broken_off(faster):
    break_off(faster)
    with counted(faster, ACCELERATED), exclusive(faster / LOCK):
        assert let_go_of(faster) is None
        with pytest.raises(StoreBusy), counted(faster, ACCELERATED):  # a second one, which the home refuses
            raise StoreBusy("held")
        assert let_go_of(faster) is None
    break_off(faster)
    assert let_go_of(faster) is None


def test_while_the_cpu_stands_in_it_stays_let_go_of(faster):
    break_off(faster)
    break_off(faster)
    with counted(faster, execution_of(faster, ASKED)), exclusive(faster / LOCK):
        assert execution_of(faster, ASKED).provider == "cpu"
    assert execution_of(faster, ASKED).provider == "cpu"


@pytest.mark.parametrize("changed", [{"provider": "cpu"}, {"may_fall_back": False}], ids=str)
def test_nothing_is_counted_of_the_cpu_and_of_what_was_named(faster, changed):
    with counted(faster, ACCELERATED.model_copy(update=changed)):
        assert not (faster / STARTS_FILE).exists()


def test_a_provider_that_is_named_is_not_let_go_of(home):
    asked = BackboneSettings(provider="xnnpack")
    settle(home, [ms("xnnpack", 1)], asked)
    let_go(home)
    assert (execution_of(home, asked).provider, execution_of(home, asked).threads) == ("xnnpack", 1)


def test_to_measure_it_again_by_itself_does_not_take_it_up_again(home):
    let_go(home)
    settle(home, [ms("cpu", 20, 2), ms(MISSING, 1), fell_out("xnnpack", may_pass=True)])
    with measuring(home, ASKED, lambda: True, after_s=0.0, probe=probe(cpu={"1": 20}, **{MISSING: 1})):
        eventually(lambda: recall(home, ASKED).attempts == 2)
    assert execution_of(home, ASKED).provider == "cpu"


@pytest.mark.parametrize("data", [b"", b"{", b'{"format": 2}', b" " * 70_000], ids=range(4))
def test_a_damaged_count_begins_anew(faster, data):
    (faster / STARTS_FILE).write_bytes(data)
    assert execution_of(faster, ASKED).provider == MISSING
    with counted(faster, ACCELERATED):
        assert json.loads((faster / STARTS_FILE).read_bytes())["broke_off"] == 0


def test_a_start_that_cannot_be_counted_goes_on(faster, caplog):
    (faster / STARTS_FILE).mkdir()
    with caplog.at_level(logging.WARNING), counted(faster, ACCELERATED):
        pass
    assert "could not be counted" in caplog.text


def test_the_doctor_says_that_it_is_let_go_of_and_how_to_take_it_up_again(faster):
    let_go(faster)
    found = next(finding for finding in doctor.examine(faster) if finding.check == "accelerator")
    assert (found.state, found.found.startswith(f"{MISSING} is let go of: 2 starts")) == ("warn", True)
    assert "edgecl doctor --measure" in found.remedy


def test_to_measure_by_hand_takes_it_up_again(home):
    ask(home, provider="cpu", threads=1)
    let_go(home)
    run("doctor", "--measure", "--home", home)
    assert not (home / STARTS_FILE).exists()


def test_a_daemon_counts_its_starts_and_lets_go_of_an_accelerator_that_ends_it(faster):
    for broke_off in (0, 1):
        with running(faster, "--camera", "browser:") as daemon:
            assert json.loads((faster / STARTS_FILE).read_bytes())["broke_off"] == broke_off
            daemon.end(signal.SIGKILL)
    with running(faster, "--camera", "browser:") as daemon:
        daemon.expect(f"{MISSING} is let go of: 2 starts on it in a row broke off")
        assert daemon.end() == 0
    assert let_go_of(faster) is not None


def test_a_daemon_that_ends_in_order_leaves_nothing_behind(faster):
    with running(faster, "--camera", "browser:") as daemon:
        assert (faster / STARTS_FILE).exists()
        assert daemon.end() == 0
    assert not (faster / STARTS_FILE).exists()
