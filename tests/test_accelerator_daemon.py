"""What a daemon runs its graphs on: measured while it runs, let go of where that ends daemons, and told to a person."""

import contextlib
import logging
import socket
import threading
import time

import pytest
from accelerators import ASKED, MISSING, accelerated, ask, fell_out, ms, open_home, pretended, settle
from commands import run
from daemons import eventually, served
from probes import LIBRARY, probe

from edgecl import doctor
from edgecl.accelerator.beside import measuring
from edgecl.accelerator.execution import execution_of, is_open
from edgecl.accelerator.remembered import ACCELERATOR_FILE, ATTEMPTS_MAX, recall
from edgecl.config import BackboneSettings
from edgecl.daemon import note
from edgecl.memory.store import Store


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path)


@contextlib.contextmanager
def running_here(home):
    """A daemon in this process that commands find."""
    with served(home) as there:
        note.leave(home, there.address, "")
        yield there


def beside(home, behaviour, at_leisure=lambda: True, asked=ASKED):
    return measuring(home, asked, at_leisure, after_s=0.0, probe=probe(cpu=behaviour))


# Measured while it runs


def test_a_daemon_measures_by_itself(home):
    with beside(home, {"1": 10}):
        eventually(lambda: recall(home, ASKED))
    assert execution_of(home, ASKED).threads == 1


def test_a_daemon_measures_only_what_it_does_not_know(home):
    settle(home, [ms("cpu", 20, 1)])
    threads = threading.active_count()
    with beside(home, "hangs"):
        assert threading.active_count() == threads


def test_a_daemon_measures_nothing_where_nothing_is_open(home):
    asked = BackboneSettings(provider="cpu", threads=2)
    assert not is_open(home, asked)
    threads = threading.active_count()
    with beside(home, "hangs", asked=asked):
        assert threading.active_count() == threads


def test_a_daemon_waits_until_it_is_at_leisure(home, monkeypatch):
    monkeypatch.setattr("edgecl.accelerator.beside.LOOK_S", 0.01)
    asked_for = []

    def at_leisure():
        asked_for.append(recall(home, ASKED))
        return len(asked_for) > 3

    with beside(home, {"1": 10}, at_leisure):
        eventually(lambda: recall(home, ASKED))
    assert asked_for[:4] == [None] * 4


def test_a_daemon_leaves_off_when_something_else_begins_and_comes_back_to_it(home, monkeypatch):
    monkeypatch.setattr("edgecl.accelerator.beside.LOOK_S", 0.01)
    busy, begun = threading.Event(), []

    def at_leisure():
        begun.append(not busy.is_set())
        return begun[-1]

    asked = ASKED.model_copy(update={"provider": "auto"})
    with measuring(home, asked, at_leisure, after_s=0.0, probe=probe(cpu="hangs until told")):
        eventually(lambda: (home / "engines").exists())
        busy.set()
        eventually(lambda: begun[-3:] == [False] * 3)
        assert recall(home, asked) is None
        (home / "engines").write_text("told")
        busy.clear()
        eventually(lambda: recall(home, asked))
    assert execution_of(home, asked).threads == 1


def test_a_daemon_that_ends_does_not_wait_for_it(home):
    looked = threading.Event()
    begun = time.monotonic()
    with beside(home, "hangs", lambda: looked.set() or True):
        looked.wait(10)
    assert time.monotonic() - begun < 20
    assert not (home / ACCELERATOR_FILE).exists()


def test_a_daemon_goes_on_where_it_cannot_be_kept(home, caplog):
    (home / ACCELERATOR_FILE).mkdir()
    with caplog.at_level(logging.WARNING), beside(home, {"1": 10}):
        eventually(lambda: "is not known" in caplog.text)


def test_what_fell_out_for_a_reason_that_may_pass_is_measured_again_by_later_starts_and_it_alone(home, monkeypatch):
    for module in ("execution", "remembered"):
        monkeypatch.setattr(f"edgecl.accelerator.{module}.available", lambda: ["cpu", "cuda"])
    settle(home, [ms("cpu", 20, 2), fell_out("cuda", may_pass=True)])
    with measuring(home, ASKED, lambda: True, after_s=0.0, probe=probe(cpu={"1": 1}, cuda=5)):
        eventually(lambda: recall(home, ASKED).attempts == 2)
    found = recall(home, ASKED)
    assert found.is_settled
    assert {one.provider: one.quickest_ms for one in found.outcomes} == {"cpu": 20, "cuda": 5}
    assert execution_of(home, ASKED).provider == "cuda"


def test_it_is_measured_again_a_few_times_and_not_for_ever(home):
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert recall(home, ASKED) is None or not recall(home, ASKED).is_settled
        with beside(home, "SIGKILL"):
            eventually(lambda attempt=attempt: (found := recall(home, ASKED)) and found.attempts == attempt)
    threads = threading.active_count()
    with beside(home, {"1": 10}):
        assert threading.active_count() == threads


def test_one_start_measures_once_whatever_comes_of_it(home, monkeypatch):
    monkeypatch.setattr("edgecl.accelerator.beside.LOOK_S", 0.01)
    threads = threading.active_count()
    with beside(home, "SIGKILL"):
        eventually(lambda: recall(home, ASKED))
        eventually(lambda: threading.active_count() == threads)
    assert recall(home, ASKED).attempts == 1


def test_who_measures_by_hand_begins_anew(home):
    ask(home, provider="cpu", threads=1)
    asked = BackboneSettings(provider="cpu", threads=1)
    settle(home, [fell_out("cpu", may_pass=True)], asked, attempts=ATTEMPTS_MAX)
    run("doctor", "--measure", "--home", home)
    assert (recall(home, asked).attempts, recall(home, asked).is_settled) == (1, True)


# What a person sees


def row(home):
    return next(finding for finding in doctor.examine(home) if finding.check == "accelerator")


def test_the_doctor_says_that_nothing_was_measured_yet(home):
    found = row(home)
    assert (found.state, "not measured yet" in found.found) == ("ok", True)
    assert "edgecl doctor --measure" in found.remedy


def test_the_doctor_says_what_was_measured(home):
    settle(home, [ms("cpu", 20, 1), ms("cpu", 10, 2)])
    found = row(home)
    assert found.state == "ok"
    assert found.found.startswith("int8 on cpu with 2 threads; measured on ")
    assert found.found.endswith(": cpu 21.0 ms with 1 thread, 11.0 ms with 2 threads")


def test_the_doctor_says_why_an_accelerator_is_of_no_use(home):
    settle(home, [ms("cpu", 20, 1), fell_out("cuda", LIBRARY)])
    found = row(home)
    assert found.state == "warn"
    assert f"cuda is of no use ({LIBRARY})" in found.found
    assert 'provider = "cpu"' in found.remedy


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_the_doctor_says_that_the_cpu_stands_in(home):
    settle(home, [ms("cpu", 20, 1), ms(MISSING, 2)])
    with pretended():
        found = row(home)
    assert (found.state, found.found.startswith(f"the CPU stands in for {MISSING}")) == ("warn", True)


def test_the_doctor_says_that_nothing_is_open(home):
    ask(home, provider="cpu", threads=2)
    assert row(home).found == "int8 on cpu with 2 threads: nothing else is left open"


def test_the_doctor_measures_when_asked_to(home):
    ask(home, provider="cpu")
    told = run("doctor", "--measure", "--home", home, "--json")
    found = next(one["found"] for one in told.records if one["check"] == "accelerator")
    assert "measured on" in found
    assert recall(home, BackboneSettings(provider="cpu")) is not None


def test_the_status_says_on_what_a_home_runs(home):
    ask(home, provider="cpu", threads=2)
    Store(home).close()
    told = run("status", "--home", home, "--json")
    assert (told.records[0]["provider"], told.records[0]["threads"]) == ("cpu", 2)
    assert "tiny in int8 on cpu with 2 threads, release 1" in run("status", "--home", home).out


def test_status_and_doctor_say_what_a_daemon_runs_on_where_the_next_start_runs_on_another(home):
    settle(home, [ms("cpu", 20, 1), ms(MISSING, 1)])
    with accelerated() as accelerator, running_here(home) as there:
        accelerator.left = 0
        there.show("cup")
        eventually(lambda: there.daemon.state.execution.provider == "cpu")
        (record,) = run("status", "--home", home, "--json").records
        said = run("status", "--home", home).out
        found = row(home).found
    assert (record["provider"], record["threads"]) == (MISSING, 1)
    assert record["daemon"] | {"pid": 0, "address": ""} == {
        "pid": 0,
        "address": "",
        "precision": "int8",
        "provider": "cpu",
        "threads": 0,
    }
    both = f"int8 on cpu with a thread for every core (from the next start on: int8 on {MISSING}"
    assert f"tiny in {both}" in said
    assert both in found


def test_a_daemon_that_does_not_answer_leaves_the_status_as_of_the_next_start(home):
    ask(home, provider="cpu", threads=2)
    with Store(home), socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        closed.close()
        note.leave(home, address, "")
        told = run("status", "--home", home, "--json").records[0]
    assert (told["threads"], told["daemon"]["address"], told["daemon"]["provider"]) == (2, address, None)


def test_the_doctor_says_that_a_fault_may_pass(home):
    settle(home, [ms("cpu", 20, 1), fell_out("cuda", may_pass=True)])
    assert (row(home).state, "tries again" in row(home).remedy) == ("warn", True)
    settle(home, [ms("cpu", 20, 1), fell_out("cuda", may_pass=True)], attempts=ATTEMPTS_MAX)
    assert (row(home).state, "mend" in row(home).remedy) == ("warn", True)
