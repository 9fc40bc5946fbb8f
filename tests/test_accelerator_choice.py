"""What the graphs run on: what may be tried, which of it is taken, and for how long that is remembered."""

import os
import time
from pathlib import Path

import pytest
import tiny
from accelerators import ASKED, CPU, ask, fell_out, ms, open_home, settle, tried
from probes import probe

from edgecl.accelerator import machine
from edgecl.accelerator.choice import choose
from edgecl.accelerator.execution import execution_of, measure
from edgecl.accelerator.remembered import ACCELERATOR_FILE, recall
from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings
from edgecl.home import Home
from edgecl.manifest import read_manifest
from edgecl.memory.store import Store


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path)


# What is decided


def test_the_fastest_is_taken():
    assert choose([ms("cpu", 20), ms("xnnpack", 12), ms("cuda", 4)]).provider == "cuda"


def test_a_thread_that_makes_it_hardly_faster_is_left_to_others():
    assert choose([ms("cpu", 20, 1), ms("cpu", 10.4, 2), ms("cpu", 10.0, 4)]).threads == 2


def test_a_thread_that_makes_it_faster_is_taken():
    assert choose([ms("cpu", 20, 1), ms("cpu", 10.6, 2), ms("cpu", 10.0, 4)]).threads == 4


def test_an_accelerator_that_is_slower_is_not_taken():
    assert choose([ms("cpu", 20), ms("cuda", 30)]).provider == "cpu"


def test_an_accelerator_that_is_hardly_faster_is_not_taken():
    assert choose([ms("cuda", 9.5), ms("cpu", 10)]).provider == "cpu"


def test_fp32_is_taken_only_where_it_is_clearly_faster():
    assert choose([ms("cpu", 10, precision="int8"), ms("cpu", 9.5, precision="fp32")]).precision == "int8"
    assert choose([ms("cpu", 10, precision="int8"), ms("cpu", 8, precision="fp32")]).precision == "fp32"


def test_what_has_a_fault_is_not_taken():
    broken = fell_out("cuda")
    assert choose([ms("cpu", 20), broken]).provider == "cpu"
    assert choose([broken]) is None


# What is tried


def test_auto_tries_what_the_runtime_was_built_with_but_not_what_compiles_for_minutes():
    assert list(tried()) == ["cpu", "xnnpack", "cuda"]
    assert list(tried(built=("cpu",))) == ["cpu"]


def test_a_provider_that_is_named_is_the_only_one_that_is_tried():
    assert list(tried(provider="tensorrt")) == ["tensorrt"]


def test_threads_are_tried_up_to_the_cores():
    assert tried(cores=4)["cpu"] == (1, 2, 3, 4)
    assert tried(cores=2)["cpu"] == (1, 2)
    assert tried(cores=12)["cpu"] == (1, 2, 3, 4, 8, 12)


def test_threads_that_are_named_are_the_only_ones_that_are_tried():
    assert tried(threads=3) == {"cpu": (3,), "xnnpack": (3,), "cuda": (3,)}


def test_a_graphics_processor_is_tried_with_one_thread():
    assert tried()["cuda"] == (1,)


def test_two_threads_of_a_core_count_as_one_core(tmp_path, monkeypatch):
    for number in os.sched_getaffinity(0):
        (tmp_path / f"cpu{number}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{number}/topology/thread_siblings_list").write_text("0-1\n")
    monkeypatch.setattr(machine, "CPUS", tmp_path)
    assert machine.cores() == 1


def test_where_nothing_tells_of_threads_every_processor_is_a_core(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUS", tmp_path)
    assert machine.cores() == len(os.sched_getaffinity(0))


# What is remembered


def test_without_a_measurement_the_cpu_runs_with_what_the_settings_say(home):
    for threads in (0, 2):
        found = execution_of(home, BackboneSettings(threads=threads))
        assert (found.precision, found.provider, found.threads) == ("int8", "cpu", threads)


def test_a_home_runs_as_was_measured(home):
    settle(home, [ms("cpu", 20, 1), ms("cpu", 10, 2)])
    assert Home.at(home).settings.backbone.threads == 2
    assert Home.at(home).backbone().provider == CPU


@pytest.mark.parametrize(
    "changed",
    [
        {"onnxruntime": "1.0"},
        {"edgecl": "0.0"},
        {"processor": "another"},
        {"cores": 99},
        {"providers": ("cpu", "cuda", "xnnpack")},
        {"trunks": {"int8": "another"}},
        {"threads": 5},
        {"provider": "cpu"},
        {"precision": "fp32"},
    ],
    ids=str,
)
def test_what_was_measured_of_something_else_does_not_count(home, changed):
    settle(home, [ms("cpu", 10, 2)], **changed)
    assert recall(home, ASKED) is None
    assert execution_of(home, ASKED).threads == 0


def test_a_new_tail_leaves_what_was_measured_as_it_is(home):
    settle(home, [ms("cpu", 10, 2)])
    golden = (home / "current/golden.npz").read_bytes()
    for name, data in tiny.tail_files(read_manifest(home / "current"), golden, change=0.1).items():
        (home / "current" / name).write_bytes(data)
    assert execution_of(home, ASKED).threads == 2


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format": 2}', b" " * 70_000, b"\xff\xfe"], ids=range(6))
def test_a_damaged_file_is_measured_anew(home, data):
    (home / ACCELERATOR_FILE).write_bytes(data)
    assert execution_of(home, ASKED).threads == 0
    measure(home, ASKED, probe=probe(cpu={"1": 20, "2": 10}))
    assert execution_of(home, ASKED).threads == min(2, machine.cores())


def test_what_fell_out_for_a_reason_that_may_pass_does_not_hold_up_the_rest(home):
    settle(home, [ms("cpu", 20, 2), fell_out("cuda", may_pass=True)])
    assert (execution_of(home, ASKED).provider, execution_of(home, ASKED).threads) == ("cpu", 2)


def test_a_home_without_a_backbone_has_something_to_run_on(tmp_path):
    assert execution_of(tmp_path / "none", ASKED).provider == "cpu"
    assert not (tmp_path / "none").exists()


def test_where_all_has_a_fault_the_cpu_runs_with_what_the_settings_say(home):
    settle(home, [fell_out("cpu", threads=2)])
    assert (execution_of(home, ASKED).provider, execution_of(home, ASKED).threads) == ("cpu", 0)


def test_a_provider_that_is_named_runs_also_where_it_is_slow(home):
    asked = BackboneSettings(provider="cuda")
    settle(home, [ms("cuda", 500)], asked)
    assert execution_of(home, asked).provider == "cuda"


def test_what_the_settings_do_not_leave_open_is_not_taken_from_a_file(home):
    asked = BackboneSettings(provider="cpu")
    settle(home, [ms("cuda", 1, 1), ms("cpu", 2, 900), ms("cpu", 20, 2)], asked)
    chosen = execution_of(home, asked)
    assert (chosen.provider, chosen.threads) == ("cpu", 2)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_plain_file_was_never_measured(home, make):
    make(home / "accelerator.json")
    assert recall(home, ASKED) is None


# int8 or fp32


def test_precision_is_int8_unless_something_else_is_asked_for(home):
    settle(home, [ms("cpu", 20), ms("cpu", 1, precision="fp32")])
    assert execution_of(home, ASKED).precision == "int8"


def test_auto_takes_the_faster_precision_while_nothing_is_taught(home):
    asked = ask(home, precision="auto")
    assert execution_of(home, asked).precision == "int8"
    settle(home, [ms("cpu", 20), ms("cpu", 1, precision="fp32")], asked)
    assert Home.at(home).backbone().precision == "fp32"


@pytest.mark.parametrize("taught", ["int8", "fp32"])
def test_auto_stays_with_the_precision_that_was_taught(home, taught):
    asked = BackboneSettings(precision="auto")
    other = "fp32" if taught == "int8" else "int8"
    with Store(home) as store:
        seen = Backbone(home / "current", BackboneSettings(precision=taught, threads=1))
        teach_one(store, seen)
    assert execution_of(home, asked).precision == taught
    settle(home, [ms("cpu", 1, precision=other), ms("cpu", 20, 2, precision=taught)], asked)
    found = execution_of(home, asked)
    assert (found.precision, found.threads) == (taught, 2)


def teach_one(store, backbone):
    """One example, made by the trunk of that backbone."""
    from edgecl.memory.lessons import LessonDraft
    from edgecl.types import Example

    sight = backbone.see(tiny.pictures(1)[0])
    example = Example(0, 0, 0, backbone.latent(sight.activation), backbone.trunk_digest, None, time.time(), "test")
    vectors = sight.embedding.vector[None]
    store.teach(LessonDraft("cup", "camera", [example], vectors, backbone.tail_digest, 1, 0, 0, {}, time.time()), 20)
