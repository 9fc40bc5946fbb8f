"""The demonstration: the script, the session behind the live one, and the live one in a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import httpx
import pytest
from commands import PROGRAM, bare_home, picture, run

from edgecl.cameras import sample
from edgecl.cli import run as serving
from edgecl.cli import stage
from edgecl.demonstration import CLASSES
from edgecl.errors import ExtraMissing, StoreUnwritable
from edgecl.home import Home
from edgecl.session import ENTER, ESCAPE, Session
from edgecl.types import Frame


@pytest.fixture
def home(tmp_path, backbone_folder):
    return bare_home(tmp_path / "home", backbone_folder)


# The script


def test_the_script_teaches_four_classes_and_forgets_none(home):
    told = run("demo", "--script", "--json", "--home", home)
    assert told.status == 0, told.err
    result = told.record
    assert [one["label"] for one in result["classes"]] == list(CLASSES)
    assert result["passed"] is True
    assert result["mean_accuracy"] >= 0.9
    assert result["forgetting"] <= 0.02
    assert result["unknown_rejected"] >= 0.9
    assert result["survived_restart"] is True
    assert {"kept", "accuracy_then", "accuracy_now", "forgetting", "first_ms", "full_ms"} <= result["classes"][0].keys()
    refused = run("demo", "--script", "--home", home)  # now something is taught there
    assert refused.status == 1
    assert "4 classes" in refused.err


def test_without_a_home_of_its_own_the_script_leaves_the_users_memory_alone(home):
    environment = os.environ | {"EDGECL_HOME": str(home)}
    done = subprocess.run([*PROGRAM, "demo", "--script"], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for words in ("after its lesson", "at the end", "forgetting", *CLASSES, "survived restart: yes"):
        assert words in done.stdout
    assert [path.name for path in home.iterdir()] == ["current"]


# The page


@pytest.fixture
def served_with(monkeypatch):
    """What the page was asked to show, and where; it is not served."""
    asked = []
    monkeypatch.setattr(serving, "serve", lambda place, cameras, server, ready: asked.append((cameras, server)))
    return asked


def urls(cameras):
    return [one.url for one in cameras]


def test_the_page_is_served_where_it_was_asked_to_be(home):
    with subprocess.Popen(
        [*PROGRAM, "demo", "sample://cat?fps=15", "--port", "0", "--json", "--home", str(home)],
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        try:
            address = json.loads(demo.stdout.readline())["address"]
            cameras = httpx.get(f"{address}/api/v1/cameras").json()
            assert "What it sees" in httpx.get(address).text
        finally:
            demo.terminate()
    assert [one["url"] for one in cameras] == ["sample://cat?fps=15", "browser:"]
    assert demo.returncode == 0


def test_camera_0_is_shown_where_it_gives_pictures(home, served_with, monkeypatch):
    monkeypatch.setattr(stage, "camera_works", lambda settings: True)
    told = run("demo", "--home", home)
    assert (told.status, told.err, urls(served_with[0][0])) == (0, "", ["0", "browser:"])


def test_else_sample_photographs_are(home, served_with, monkeypatch):
    monkeypatch.setattr(stage, "camera_works", lambda settings: False)
    told = run("demo", "--home", home)
    assert told.err == "camera 0 gives no picture; showing sample photographs instead\n"
    assert urls(served_with[0][0]) == ["sample://cat,coffee,rocket?fps=15&each=12", "browser:"]


def test_without_those_the_browser_is_asked_for_its_camera(home, served_with, monkeypatch):
    def missing(name):
        raise ExtraMissing("sample://", "demo")

    monkeypatch.setattr(stage, "camera_works", lambda settings: False)
    monkeypatch.setattr(sample, "photograph", missing)
    told = run("demo", "--home", home)
    assert "pip install 'edgecl[demo]'" in told.err
    assert urls(served_with[0][0]) == ["browser:"]


def test_where_it_answers_can_be_said(home, served_with, tmp_path):
    (tmp_path / "token").write_text("a token that is long enough\n")
    given = ("--host", "0.0.0.0", "--port", 1234, "--token-file", tmp_path / "token")
    assert run("demo", "sample://cat", *given, "--home", home).status == 0
    server = served_with[0][1]
    assert (server.host, server.port, server.token_file) == ("0.0.0.0", 1234, tmp_path / "token")


# The session


class Bench:
    """A session with a clock and a hand of its own."""

    def __init__(self, learner):
        self.session = Session(learner)
        self.now = 0.0

    def press(self, *keys):
        for key in keys:
            self.session.press(key, self.now)

    def show(self, name, seconds):
        for _ in range(round(seconds * 15)):
            self.now += 1 / 15
            self.session.look(Frame(picture(name, at_s=self.now), 1e9 + self.now, self.now, "bench"))


@pytest.fixture
def bench(home):
    with Home.at(home).learner() as learner:
        yield Bench(learner)


def test_a_new_class_is_named_shown_for_three_seconds_and_known(bench):
    bench.show("cat", 0.2)
    assert bench.session.glance.prediction.label is None
    bench.press("n", *"cap", "\x7f", "t", ENTER)
    bench.show("cat", 2.5)
    assert bench.session.burst is not None
    assert 0 < bench.session.left_s(bench.now) < 1
    bench.show("cat", 1.0)
    assert bench.session.burst is None
    assert bench.session.names == ["cat"]
    assert bench.session.report.lesson.label == "cat"


def test_a_key_that_is_held_makes_the_lesson_longer(bench):
    bench.press("n", *"cat", ENTER)
    bench.show("cat", 3.2)
    bench.press("1")
    bench.show("cat", 2.8)
    bench.press("1")
    bench.show("cat", 0.8)
    assert bench.session.burst is not None
    bench.show("cat", 0.4)
    assert bench.session.burst is None


def test_the_last_lesson_can_be_undone_and_corrected(bench):
    bench.press("n", *"dog", ENTER)
    bench.show("cat", 3.2)
    bench.press("c")
    assert bench.session.correcting
    bench.press("n", *"cat", ENTER)
    assert bench.session.names == ["cat"]
    bench.press("u")
    assert bench.session.names == []
    bench.press("u")
    assert "no lesson" in bench.session.message
    bench.press("c")
    assert not bench.session.correcting


def test_a_correction_that_cannot_be_written_can_be_given_again(bench, monkeypatch):
    bench.press("n", *"dog", ENTER)
    bench.show("cat", 3.2)
    with monkeypatch.context() as broken:
        broken.setattr(bench.session.learner, "teach", refuse)
        bench.press("c", "n", *"cat", ENTER)
        assert "disk" in bench.session.message
    bench.press("c", "n", *"cat", ENTER)
    assert bench.session.names == ["cat"]


def test_where_the_lesson_cannot_be_taken_back_nothing_is_taught(bench, monkeypatch):
    bench.press("n", *"dog", ENTER)
    bench.show("cat", 3.2)
    monkeypatch.setattr(bench.session.learner, "undo", refuse)
    bench.press("c", "n", *"cat", ENTER)
    assert bench.session.names == ["dog"]


@pytest.mark.parametrize("key", ["n", "u", "c"])
def test_during_a_lesson_only_its_own_keys_count(key, bench):
    bench.press("n", *"cat", ENTER)
    bench.show("cat", 1.0)
    bench.press(key)
    assert "not over yet" in bench.session.message
    bench.show("cat", 2.5)
    assert bench.session.names == ["cat"]


def test_undo_ends_a_correction_that_was_begun(bench):
    for name in ("cat", "coffee"):
        bench.press("n", *name, ENTER)
        bench.show(name, 3.2)
    bench.press("c", "u", "1")
    assert not bench.session.correcting
    assert bench.session.label == "cat"
    assert bench.session.burst is not None


def refuse(*arguments):
    raise StoreUnwritable("found the disk full")


def test_a_lesson_can_be_cancelled_and_then_teaches_nothing(bench):
    bench.press("n", *"cat", ENTER)
    bench.show("cat", 1.0)
    bench.press(ESCAPE)
    bench.show("cat", 3.0)
    assert bench.session.names == []


def test_a_name_that_cannot_be_one_and_a_key_without_a_class_are_told(bench):
    bench.press("n", *"../x", ENTER)
    assert "path" in bench.session.message
    bench.press("4")
    assert "no class 4" in bench.session.message
    assert bench.session.burst is None


def test_a_covered_camera_teaches_nothing_and_says_why(bench):
    bench.press("n", *"night", ENTER)
    black = picture("cat") * 0
    for _ in range(60):
        bench.now += 1 / 15
        bench.session.look(Frame(black, 1e9 + bench.now, bench.now, "bench"))
    assert bench.session.glance.refused == "too dark"
    assert "too dark" in bench.session.message
    assert bench.session.names == []


# The live one


class Screen:
    """`python ARGUMENTS` in a terminal of its own."""

    def __init__(self, *arguments):
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        command = [sys.executable, "-X", "faulthandler", *arguments]
        environment = os.environ | {"TERM": "xterm-256color"}
        streams = {"stdin": self.theirs, "stdout": self.theirs, "stderr": self.theirs}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **streams)
        self.text = ""

    def wait_for(self, pattern, seconds=60):
        """Read until `pattern` was drawn since the last call; colours and movements are left out."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, f"{pattern!r} was never drawn; last: {self.text[-2000:]}"
            self._read()
        self.text = self.text[found.end() :]

    def press(self, keys):
        os.write(self._ours, keys.encode())

    def end(self, seconds=120):
        """Wait for the process; returns its status. One that does not end is made to say where it is."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            while select.select([self._ours], [], [], 0.5)[0]:
                self._read()
            pytest.fail(f"still running after {seconds} s, at:\n{self.text[-4000:]}")
        return self.process.returncode

    def _read(self):
        if select.select([self._ours], [], [], 0.1)[0]:
            drawn = os.read(self._ours, 65536).decode("utf-8", "ignore")
            self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self.theirs)


@pytest.fixture
def screen(home):
    screen = Screen(*PROGRAM[1:], "demo", "sample://cat?fps=15", "--terminal", "--home", str(home))
    yield screen
    screen.close()


def test_someone_teaches_in_a_terminal_and_gets_it_back_as_it_was(screen, home):
    screen.wait_for("nothing yet")
    screen.press("n")
    screen.wait_for("name: ")
    screen.press("cat\r")
    screen.wait_for("teaching cat: .* left")
    screen.wait_for("learned 'cat'")
    screen.wait_for(r"1 +cat +\d+ examples")
    screen.press("\x1b[A")  # an arrow is no key of ours
    screen.press("q")
    assert screen.end() == 0
    assert termios.tcgetattr(screen.theirs) == screen.before
    assert [one["label"] for one in run("classes", "list", "--home", home, "--json").records] == ["cat"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_too_gives_the_terminal_back(screen, number, status):
    screen.wait_for("nothing yet")
    screen.process.send_signal(number)
    assert screen.end() == status
    screen.wait_for("it knows nothing yet")
    assert termios.tcgetattr(screen.theirs) == screen.before


DEAF = """
import time
from edgecl.cli.keyboard import Keyboard
from edgecl.cli.signals import Signals
with Signals.noted() as signals, Keyboard.open():
    while True:
        print("deaf to", signals.came, flush=True)
        time.sleep(0.1)
"""


def test_a_second_signal_ends_what_does_not_listen_and_gives_the_terminal_back():
    screen = Screen("-c", DEAF)
    try:
        for heard in ("None", "15"):
            screen.wait_for(f"deaf to {heard}")
            screen.process.send_signal(signal.SIGTERM)
        assert screen.end() == 143
        assert termios.tcgetattr(screen.theirs) == screen.before
    finally:
        screen.close()
