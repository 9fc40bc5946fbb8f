"""The probe: tried in a process that may do anything, and that is survived."""

import contextlib
import json
import logging
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from accelerators import ASKED, MISSING, open_home, tried
from daemons import eventually
from probes import LIBRARY, probe

from edgecl.accelerator import machine, measuring
from edgecl.accelerator import probe as real
from edgecl.accelerator.choice import choose
from edgecl.accelerator.execution import measure
from edgecl.accelerator.measuring import measured
from edgecl.accelerator.plan import Job
from edgecl.accelerator.remembered import recall
from edgecl.config import BackboneSettings
from edgecl.errors import BackboneDamaged
from edgecl.manifest import read_manifest


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Read-only by agreement."""
    return tiny.backbone_folder(tmp_path_factory.mktemp("tiny") / "backbone")


def job(folder, provider="cuda", threads=(1,), limit_s=30.0):
    return Job(
        release=folder,
        precision="int8",
        provider=provider,
        threads=threads,
        engines=folder / "engines",
        limit_s=limit_s,
    )


def runs(pid):
    """Whether a process is there, and not only its name."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# What a probe may do


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        ("SIGILL", "an instruction that this processor does not have"),
        ("SIGSEGV", "SIGSEGV"),
        ("SIGABRT", "SIGABRT"),
        ("SIGRTMIN+6", "signal 40"),
        ("SIGKILL", "for want of memory"),
        ("breaks", "status 1"),
        ("falls back", LIBRARY),
        ("answers NaN", "told nothing"),
        ("is silent", "told nothing"),
    ],
)
def test_an_accelerator_that_fails_costs_nothing_but_itself(tmp_path, behaviour, fault):
    found = measured([job(tmp_path), job(tmp_path, "cpu")], probe=probe(cuda=behaviour, cpu=20))
    assert [(one.provider, one.quickest_ms) for one in found] == [("cuda", None), ("cpu", 20)]
    assert fault in found[0].fault
    assert choose(found).provider == "cpu"


@pytest.mark.parametrize(
    ("behaviour", "may_pass"),
    [
        ("SIGKILL", True),
        ("SIGALRM", True),
        ("is silent", True),
        ("SIGILL", False),
        ("SIGSEGV", False),
        ("breaks", False),
        ("falls back", False),
    ],
)
def test_want_of_memory_or_time_and_silence_may_pass_and_nothing_else(tmp_path, behaviour, may_pass):
    (found,) = measured([job(tmp_path)], probe=probe(cuda=behaviour))
    assert found.may_pass is may_pass


def test_a_probe_that_writes_without_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "WRITTEN_BYTES_MAX", 2**20)
    (found,) = measured([job(tmp_path)], probe=probe(cuda="writes without end"))
    assert (found.fault, found.may_pass) == ("it writes without end", False)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_probe_that_a_driver_holds_is_given_up(tmp_path, monkeypatch, caplog):
    end = os.killpg
    monkeypatch.setattr(os, "killpg", lambda group, number: None)  # what killing such a process comes to
    monkeypatch.setattr(measuring, "GONE_S", 0.1)
    stuck, after = job(tmp_path, limit_s=1.5), job(tmp_path, "cpu")
    with caplog.at_level(logging.WARNING):
        found = measured([stuck, after], probe=probe(cuda="hangs", cpu=20))
    end(os.getpgid(int((tmp_path / "engines").read_text())), signal.SIGKILL)
    assert [one.fault for one in found] == ["it hangs and cannot be ended: a driver holds it", None]
    assert "cannot be ended" in caplog.text


def test_an_accelerator_that_hangs_is_ended_with_all_that_it_began(tmp_path):
    found = measured([job(tmp_path, limit_s=1.5)], probe=probe(cuda="hangs"))
    assert ("hangs" in found[0].fault, found[0].may_pass) == (True, True)
    child = (tmp_path / "engines").read_text()
    eventually(lambda: not runs(child))


def test_what_was_told_before_a_crash_counts(tmp_path):
    found = measured([job(tmp_path, threads=(1, 2))], probe=probe(cuda="dies after the first"))
    assert [(one.threads, one.quickest_ms) for one in found] == [(1, 5.0), (2, None)]
    assert "SIGABRT" in found[1].fault


def test_what_a_library_writes_between_does_not_matter(tmp_path):
    assert [one.quickest_ms for one in measured([job(tmp_path)], probe=probe(cuda="babbles"))] == [5.0]


def test_a_probe_that_cannot_be_started_is_a_fault(tmp_path):
    (found,) = measured([job(tmp_path)], probe=[str(tmp_path / "none")])
    assert ("could not be started" in found.fault, found.may_pass) == (True, True)


def test_measuring_can_be_left_off(tmp_path):
    stopped = threading.Event()
    threading.Timer(0.5, stopped.set).start()
    begun = time.monotonic()
    assert measured([job(tmp_path), job(tmp_path)], stopped=stopped, probe=probe(cuda="hangs")) == []
    assert time.monotonic() - begun < 20


def test_a_probe_that_has_no_room_for_what_it_says_is_a_fault(home, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(home / "nowhere"))
    (outcome, *_) = measure(home, ASKED).outcomes
    assert "could not be started" in outcome.fault


# The real probe


def test_the_processor_of_this_machine_is_measured(home):
    found = measure(home, BackboneSettings(provider="cpu"))
    assert [one.threads for one in found.outcomes] == list(tried(machine.cores(), ("cpu",))["cpu"])
    assert all(one.fault is None and one.median_ms >= one.quickest_ms > 0 for one in found.outcomes)
    assert recall(home, BackboneSettings(provider="cpu")) == found


def test_both_precisions_are_measured_where_that_is_open(home):
    found = measure(home, BackboneSettings(provider="cpu", threads=1, precision="auto"))
    assert [(one.precision, one.fault) for one in found.outcomes] == [("int8", None), ("fp32", None)]


@pytest.mark.parametrize(("change", "fault"), [({"factor": float("nan")}, "finite"), ({"change": 0.9}, "golden")])
def test_numbers_that_are_wrong_are_a_fault(tmp_path, backbone, change, fault):
    files = {path.name: path.read_bytes() for path in backbone.iterdir()}
    answers = dict(np.load(backbone / "answers.npz"))
    files |= tiny.tail_files(read_manifest(backbone), files["golden.npz"], answers, **change)
    broken = tmp_path / "broken"
    broken.mkdir()
    for name, data in files.items():
        (broken / name).write_bytes(data)
    (found,) = measured([job(broken, "cpu")])
    assert fault in found.fault


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (MemoryError(), True),
        (BackboneDamaged("CUDA failure 2: out of memory ; GPU=0"), True),
        (BackboneDamaged("BFCArena: Failed to allocate memory for requested buffer of size 9"), True),
        (BackboneDamaged("CUDA failure 209: no kernel image is available"), False),
    ],
)
def test_want_of_memory_that_the_probe_meets_may_pass(backbone, monkeypatch, capsys, error, may_pass):
    def check(job, threads):
        raise error

    monkeypatch.setattr(real, "_check", check)
    monkeypatch.setattr(real, "OOM_SCORE", backbone / "none" / "score")
    try:
        real.main(job(backbone))
    finally:
        signal.alarm(0)
    assert json.loads(capsys.readouterr().out)["may_pass"] is may_pass


def test_a_provider_that_the_runtime_was_not_built_with_is_a_fault(backbone):
    (found,) = measured([job(backbone, MISSING)])
    assert "expected one of cpu" in found.fault


def test_a_probe_finds_no_module_in_the_folder_that_someone_is_in(home, tmp_path, monkeypatch):
    (tmp_path / "edgecl.py").write_text(f"open({str(tmp_path / 'was-here')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    found = measure(home, BackboneSettings(provider="cpu", threads=1))
    assert [outcome.fault for outcome in found.outcomes] == [None]
    assert not (tmp_path / "was-here").exists()
