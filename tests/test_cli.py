"""The command line as a whole: help, options, streams, exit statuses."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import typer
from commands import PROGRAM, bare_home, run, run_process

import edgecl
from edgecl.cli.app import app

DOCUMENTED = {
    "export": (),
    "demo": (),
    "teach": (),
    "predict": (),
    "correct": (),
    "undo": (),
    "forget": (),
    "history": (),
    "examples": (),
    "classes": ("list", "rename", "merge"),
    "review": ("list", "label", "drop"),
    "status": (),
    "doctor": (),
    "head": ("export",),
    "backup": (),
    "restore": (),
    "eval": (),
    "bench": (),
}


def walk(command, name=()):
    """Every command below `command` by its words, groups too."""
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*name, word))


COMMANDS = dict(walk(typer.main.get_command(app)))
LEAVES = {name: command for name, command in COMMANDS.items() if not getattr(command, "commands", None)}


def of_every_command(test):
    return pytest.mark.parametrize("name", sorted(COMMANDS), ids=lambda name: " ".join(name) or "edgecl")(test)


def test_every_documented_command_is_there():
    for word, inner in DOCUMENTED.items():
        assert (word,) in COMMANDS
        assert set(inner) <= {name[1] for name in COMMANDS if name[:1] == (word,) and len(name) == 2}


@of_every_command
def test_every_command_says_what_it_does(name):
    shown = run(*name, "--help")
    assert shown.status == 0
    assert COMMANDS[name].help
    assert shown.out.startswith("Usage: edgecl")
    assert COMMANDS[name].help.splitlines()[0] in " ".join(shown.out.split())


@of_every_command
def test_every_argument_and_option_says_what_it_is(name):
    assert [one.name for one in COMMANDS[name].params if not one.help] == []


@pytest.mark.parametrize("name", sorted(LEAVES), ids=" ".join)
def test_every_command_takes_home_and_json_behind_its_name(name):
    options = {option for one in LEAVES[name].params for option in one.opts}
    expected = {"--json"} if name[0] == "service" else {"--json", "--home"}  # which has one home
    assert expected <= options


@pytest.mark.parametrize("name", [name for name in sorted(LEAVES) if len(name) == 1], ids=" ".join)
def test_no_command_is_cut_short_in_the_list(name):
    assert re.search(rf"^  {name[0]} .*[^.]\.$", run("--help").out, re.MULTILINE)


def test_the_version_is_that_of_the_package():
    assert run("--version").out == f"edgecl {edgecl.__version__}\n"


def test_help_loads_none_of_the_heavy_parts():
    code = "import sys, edgecl.cli.app; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"numpy", "cv2", "onnxruntime", "torch", "pydantic"} & set(loaded)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dance",),
        ("teach",),
        ("teach", "cup"),
        ("undo", "--twice"),
        ("history", "--limit", "0"),
        ("correct", "first", "cup"),
        ("head", "export"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_called_wrongly_ends_with_status_2(arguments):
    called = run(*arguments)
    assert called.status == 2
    assert "Usage: edgecl" in called.out + called.err


def test_a_name_that_is_mistyped_brings_up_the_right_one():
    assert "teach" in run("tech").err


def test_the_home_may_come_from_the_environment(tmp_path):
    done = subprocess.run(
        [*PROGRAM, "status"], env=os.environ | {"EDGECL_HOME": str(tmp_path / "mine")}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert str(tmp_path / "mine") in done.stderr


def endless(home):
    command = [*PROGRAM, "predict", "sample://cat?fps=20", "--json", "--home", str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def taught_home(tmp_path, backbone_folder):
    home = bare_home(tmp_path / "home", backbone_folder)
    assert run("teach", "cat", "sample://cat", "--limit", 9, "--home", home).status == 0
    return home


def test_an_interrupt_ends_with_status_130_and_without_a_word(taught_home):
    with endless(taught_home) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == ""


def test_a_reader_that_leaves_early_is_no_fault_to_tell_of(taught_home):
    with endless(taught_home) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait(timeout=20)
    assert process.returncode == 1


def test_a_lesson_that_is_interrupted_teaches_nothing(taught_home):
    command = [*PROGRAM, "teach", "cup", "sample://coffee?fps=20", "--seconds", "60", "--home", str(taught_home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while (lock := taught_home / "edgecl.lock").read_text().strip() != str(process.pid):
            assert time.monotonic() < deadline, f"{lock} was never taken"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert [one["label"] for one in run("classes", "list", "--home", taught_home, "--json").records] == ["cat"]


LEFT_BEHIND = """
import threading, time
import numpy as np
from edgecl.cli import app

def read():
    import cv2
    while True:
        cv2.GaussianBlur(np.zeros((2000, 2000), np.uint8), (31, 31), 0)

def interrupted():
    threading.Thread(target=read, daemon=True).start()
    time.sleep(0.3)
    print("said", end="")
    return 130

app.main = interrupted
app.program()
"""


def test_what_is_left_in_native_code_does_not_change_how_it_ends():
    ended = subprocess.run([sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "said", "")


def test_what_steers_a_terminal_is_made_visible(taught_home, tmp_path):
    name = "\x1b[2Jcup\x07.jpg"
    shown = run("predict", tmp_path / name, "--home", taught_home)
    assert shown.status == 1
    assert "\x1b" not in shown.err
    assert r"\x1b[2Jcup\x07.jpg" in shown.err


def test_the_program_and_the_module_are_the_same(tmp_path):
    assert run_process("status", "--home", tmp_path) == run("status", "--home", tmp_path)
