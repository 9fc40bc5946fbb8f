"""What the graphs run on: tried in processes that may do anything, decided, remembered, and gone back on."""

import contextlib
import json
import logging
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from commands import run
from daemons import eventually
from probes import LIBRARY, probe

from edgecl import doctor, runtime
from edgecl.accelerator import machine
from edgecl.accelerator.beside import measuring
from edgecl.accelerator.choice import Outcome, choose
from edgecl.accelerator.execution import execution_of, is_open, measure
from edgecl.accelerator.measuring import measured
from edgecl.accelerator.plan import Job, jobs
from edgecl.accelerator.remembered import ACCELERATOR_FILE, Measurement, recall, remember, subject_of
from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings
from edgecl.errors import AcceleratorUnusable, BackboneDamaged
from edgecl.home import Home
from edgecl.manifest import read_manifest
from edgecl.memory.store import Store
from edgecl.runtime import Execution, available, open_session

ASKED = BackboneSettings()
CPU = "CPUExecutionProvider"
MISSING = next(name for name in runtime.PROVIDERS if name not in available())


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Read-only by agreement."""
    return tiny.backbone_folder(tmp_path_factory.mktemp("tiny") / "backbone")


@pytest.fixture
def home(tmp_path, backbone):
    """With settings that leave everything open."""
    made = tiny.home_of(tmp_path / "home", backbone)
    (made / "edgecl.toml").unlink()
    return made


def ms(provider, quickest, threads=1, precision="int8"):
    return Outcome(
        precision=precision, provider=provider, threads=threads, median_ms=quickest + 1, quickest_ms=quickest
    )


def job(folder, provider="cuda", threads=(1,), limit_s=30.0):
    return Job(
        release=folder,
        precision="int8",
        provider=provider,
        threads=threads,
        engines=folder / "engines",
        limit_s=limit_s,
    )


def settle(home, outcomes, asked=ASKED, **changed):
    """Let these be what was measured in the home."""
    subject = subject_of(read_manifest(home / "current"), asked).model_copy(update=changed)
    remember(home, Measurement(subject=subject, measured_at=time.time(), seconds=1.0, outcomes=tuple(outcomes)))


def ask(home, **settings):
    """Write them into the home's edgecl.toml."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (home / "edgecl.toml").write_text("\n".join(["[backbone]", *lines, ""]))
    return BackboneSettings.model_validate(settings)


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
    broken = Outcome(precision="int8", provider="cuda", threads=1, fault="broken")
    assert choose([ms("cpu", 20), broken]).provider == "cpu"
    assert choose([broken]) is None


# What is tried


def tried(cores=4, built=("cpu", "xnnpack", "cuda", "tensorrt"), **settings):
    folder = Path("somewhere")
    found = jobs(BackboneSettings.model_validate(settings), ["int8"], built, cores, folder, folder)
    return {one.provider: one.threads for one in found}


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


# What a probe may do


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        ("SIGILL", "an instruction that this processor does not have"),
        ("SIGSEGV", "SIGSEGV"),
        ("SIGABRT", "SIGABRT"),
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


def test_an_accelerator_that_hangs_is_ended_with_all_that_it_began(tmp_path):
    found = measured([job(tmp_path, limit_s=1.5)], probe=probe(cuda="hangs"))
    assert "hangs" in found[0].fault
    child = (tmp_path / "engines").read_text()
    eventually(lambda: not runs(child))


def runs(pid):
    """Whether a process is there, and not only its name."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_what_was_told_before_a_crash_counts(tmp_path):
    found = measured([job(tmp_path, threads=(1, 2))], probe=probe(cuda="dies after the first"))
    assert [(one.threads, one.quickest_ms) for one in found] == [(1, 5.0), (2, None)]
    assert "SIGABRT" in found[1].fault


def test_what_a_library_writes_between_does_not_matter(tmp_path):
    assert [one.quickest_ms for one in measured([job(tmp_path)], probe=probe(cuda="babbles"))] == [5.0]


def test_a_probe_that_cannot_be_started_is_a_fault(tmp_path):
    assert "could not be started" in measured([job(tmp_path)], probe=[str(tmp_path / "none")])[0].fault


def test_measuring_can_be_left_off(tmp_path):
    stopped = threading.Event()
    threading.Timer(0.5, stopped.set).start()
    begun = time.monotonic()
    assert measured([job(tmp_path), job(tmp_path)], stopped=stopped, probe=probe(cuda="hangs")) == []
    assert time.monotonic() - begun < 20


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


def test_a_provider_that_the_runtime_was_not_built_with_is_a_fault(backbone):
    (found,) = measured([job(backbone, MISSING)])
    assert "expected one of cpu" in found.fault


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


def test_a_new_tail_leaves_what_was_measured_as_it_is(home, backbone):
    settle(home, [ms("cpu", 10, 2)])
    golden = (backbone / "golden.npz").read_bytes()
    for name, data in tiny.tail_files(read_manifest(backbone), golden, change=0.1).items():
        (home / "current" / name).write_bytes(data)
    assert execution_of(home, ASKED).threads == 2


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format": 2}', b" " * 70_000, b"\xff\xfe"], ids=range(6))
def test_a_damaged_file_is_measured_anew(home, data):
    (home / ACCELERATOR_FILE).write_bytes(data)
    assert execution_of(home, ASKED).threads == 0
    measure(home, ASKED, probe=probe(cpu={"1": 20, "2": 10}))
    assert execution_of(home, ASKED).threads == min(2, machine.cores())


def test_a_home_without_a_backbone_has_something_to_run_on(tmp_path):
    assert execution_of(tmp_path / "none", ASKED).provider == "cpu"
    assert not (tmp_path / "none").exists()


def test_where_all_has_a_fault_the_cpu_runs_with_what_the_settings_say(home):
    settle(home, [Outcome(precision="int8", provider="cpu", threads=2, fault="broken")])
    assert (execution_of(home, ASKED).provider, execution_of(home, ASKED).threads) == ("cpu", 0)


def test_a_provider_that_is_named_runs_also_where_it_is_slow(home):
    asked = BackboneSettings(provider="cuda")
    settle(home, [ms("cuda", 500)], asked)
    assert execution_of(home, asked).provider == "cuda"


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


# Where the runtime goes its own way


@pytest.fixture
def pretends(monkeypatch):
    """The runtime lists what it cannot have, as a wheel for another machine does."""
    monkeypatch.setattr(runtime, "available", lambda: ["cpu", MISSING])


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


# While a daemon runs


def beside(home, behaviour, at_leisure=lambda: True, asked=ASKED):
    return measuring(home, asked, at_leisure, after_s=0.0, probe=probe(cpu=behaviour))


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


def test_what_the_settings_do_not_leave_open_is_not_taken_from_a_file(home):
    asked = BackboneSettings(provider="cpu")
    settle(home, [ms("cuda", 1, 1), ms("cpu", 2, 900), ms("cpu", 20, 2)], asked)
    chosen = execution_of(home, asked)
    assert (chosen.provider, chosen.threads) == ("cpu", 2)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_plain_file_was_never_measured(home, make):
    make(home / "accelerator.json")
    assert recall(home, ASKED) is None


def test_a_probe_finds_no_module_in_the_folder_that_someone_is_in(home, tmp_path, monkeypatch):
    (tmp_path / "edgecl.py").write_text(f"open({str(tmp_path / 'was-here')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    found = measure(home, BackboneSettings(provider="cpu", threads=1))
    assert [outcome.fault for outcome in found.outcomes] == [None]
    assert not (tmp_path / "was-here").exists()


def test_a_probe_that_has_no_room_for_what_it_says_is_a_fault(home, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(home / "nowhere"))
    (outcome, *_) = measure(home, ASKED).outcomes
    assert "could not be started" in outcome.fault


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
    assert found.found.startswith("cpu with 2 threads; measured on ")
    assert found.found.endswith(": cpu 21.0 ms with 1 thread, 11.0 ms with 2 threads")


def test_the_doctor_says_why_an_accelerator_is_of_no_use(home):
    settle(home, [ms("cpu", 20, 1), Outcome(precision="int8", provider="cuda", threads=1, fault=LIBRARY)])
    found = row(home)
    assert found.state == "warn"
    assert f"cuda is of no use ({LIBRARY})" in found.found
    assert 'provider = "cpu"' in found.remedy


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("pretends")
def test_the_doctor_says_that_the_cpu_stands_in(home):
    settle(home, [ms("cpu", 20, 1), ms(MISSING, 2)])
    found = row(home)
    assert (found.state, found.found.startswith(f"the CPU stands in for {MISSING}")) == ("warn", True)


def test_the_doctor_says_that_nothing_is_open(home):
    ask(home, provider="cpu", threads=2)
    assert row(home).found == "cpu with 2 threads: nothing else is left open"


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
    assert "tiny in int8 on cpu" in run("status", "--home", home).out
