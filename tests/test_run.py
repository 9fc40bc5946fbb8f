"""`edgecl run` as a process: started, asked by commands, reloaded, watched, ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import run, run_process
from daemons import eventually, jpeg, running, served, thing, untaught

from edgecl.cli.run import cameras_given
from edgecl.config import ServerSettings
from edgecl.daemon import note
from edgecl.daemon.notify import notify
from edgecl.errors import ConfigRefused
from edgecl.memory.store import Store
from edgecl.web.access import Access


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home in which nothing was taught; nobody changes it."""
    return untaught(tmp_path_factory.mktemp("made"))


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "home", symlinks=True))


def pictures(folder: Path, label: str, count: int = 6) -> Path:
    """Views of a thing as files."""
    folder.mkdir()
    for view in range(count):
        (folder / f"{view}.jpg").write_bytes(jpeg(thing(label, view)))
    return folder


# From start to end


def test_it_says_where_it_answers_and_ends_when_asked(home):
    with running(home, "--camera", "browser:") as daemon:
        assert daemon.client.get("/healthz").json() == {"alive": True}
        assert note.found(home).address == daemon.address
        assert daemon.end() == 0
    assert note.found(home) is None


def test_ctrl_c_ends_it_too(home):
    with running(home, "--camera", "browser:") as daemon:
        assert daemon.end(signal.SIGINT) == 0


def test_a_lesson_in_progress_is_kept_at_the_end(home):
    with running(home, "--camera", "browser:") as daemon:
        daemon.client.post("/api/v1/holds", json={"camera": "camera1", "label": "cup", "seconds": 60})
        daemon.client.put("/api/v1/cameras/camera1/frame", content=jpeg(thing("cup")))
        eventually(lambda: daemon.client.get("/api/v1/state").json()["holds"]["camera1"]["kept"])
        assert daemon.end() == 0
    with Store(home, writable=False) as store:
        assert [lesson.label for lesson in store.history()] == ["cup"]


def test_what_was_taught_is_there_after_a_kill(home):
    with running(home, "--camera", "browser:") as daemon:
        for label in ("cup", "fork"):
            daemon.client.post("/api/v1/lessons", params={"label": label}, content=jpeg(thing(label)))
        daemon.process.kill()
        daemon.process.wait()
    with running(home, "--camera", "browser:") as daemon:
        assert [one["label"] for one in daemon.client.get("/api/v1/classes").json()] == ["cup", "fork"]


def test_everything_can_come_from_the_settings(home):
    with (home / "edgecl.toml").open("a") as settings:
        settings.write(
            '[server]\nlog_format = "json"\n[[cameras]]\nurl = "browser:"\nname = "hall"\nroi = [0, 0, 0.5, 1]\n'
        )
    with running(home) as daemon:
        (camera,) = daemon.client.get("/api/v1/cameras").json()
        assert (camera["name"], camera["region"][2]) == ("hall", [0.5, 1.0])
        daemon.process.send_signal(signal.SIGHUP)
        assert json.loads(daemon.expect("read the settings anew"))["level"] == "info"


def test_an_address_that_others_reach_needs_a_token(home):
    refused = run("run", "--host", "0.0.0.0", "--home", home)
    assert (refused.status, "without a token" in refused.err) == (1, True)
    with pytest.raises(ConfigRefused):
        Access.of(ServerSettings(host="::"))


def test_a_port_that_is_taken_is_refused(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run_process("run", "--port", taken.getsockname()[1], "--home", home)
    assert (refused.status, "expected an address that is free" in refused.err) == (1, True)


def test_a_home_that_is_held_is_refused(home):
    with running(home, "--camera", "browser:"):
        refused = run_process("run", "--port", 0, "--home", home)
    assert (refused.status, "expected to be the only writer" in refused.err) == (1, True)


def test_two_cameras_of_one_name_are_refused(home):
    with (home / "edgecl.toml").open("a") as settings:
        settings.write('[[cameras]]\nurl = "browser:"\nname = "hall"\n' * 2)
    refused = run_process("run", "--port", 0, "--home", home)
    assert (refused.status, "two cameras called 'hall'" in refused.err) == (1, True)


@pytest.mark.parametrize(("option", "value"), [("--log-format", "xml"), ("--camera", "")])
def test_an_option_that_cannot_be_used_is_named(home, option, value):
    refused = run("run", option, value, "--home", home)
    assert refused.status in (1, 2)
    assert option.removeprefix("--") in refused.err or "url" in refused.err


# SIGHUP


def test_the_settings_are_read_anew_and_cameras_that_stay_are_not_disturbed(home):
    path = home / "edgecl.toml"
    before = path.read_text()
    path.write_text(before + '[[cameras]]\nurl = "sample://cat?fps=20"\nname = "a"\n')
    with running(home) as daemon:
        eventually(lambda: daemon.client.get("/readyz").status_code == 200)
        path.write_text(path.read_text() + '[[cameras]]\nurl = "browser:"\nname = "b"\n')
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: [one["name"] for one in daemon.client.get("/api/v1/cameras").json()] == ["a", "b"])
        assert daemon.client.get("/api/v1/cameras").json()[0]["losses"] == 0
        path.write_text(before + '[[cameras]]\nurl = "browser:"\nname = "b"\n')
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: [one["name"] for one in daemon.client.get("/api/v1/cameras").json()] == ["b"])


def test_the_settings_that_are_told_are_those_in_force(home):
    with running(home, "--camera", "browser:") as daemon:
        told = daemon.client.get("/api/v1/config").json()
        assert (told["server"]["port"], told["camera"]["read_timeout_s"]) == (0, 4.0)
        assert [one["url"] for one in told["cameras"]] == ["browser:"]
        with (home / "edgecl.toml").open("a") as settings:
            settings.write("[camera]\nread_timeout_s = 7.5\n")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: daemon.client.get("/api/v1/config").json()["camera"]["read_timeout_s"] == 7.5)
        assert daemon.client.get("/api/v1/config").json()["server"]["port"] == 0


def test_sections_that_wait_for_the_next_start_are_named(home):
    with running(home, "--camera", "browser:") as daemon:
        with (home / "edgecl.toml").open("a") as settings:
            settings.write("[gate]\nrate_max_hz = 3.0\n")
        daemon.process.send_signal(signal.SIGHUP)
        assert "the sections gate take effect" in daemon.expect("take effect with the next start")


def test_a_camera_whose_settings_were_changed_is_opened_anew(home):
    with running(home, "--camera", "sample://cat?fps=20") as daemon:
        eventually(lambda: daemon.client.get("/readyz").status_code == 200)
        frames = eventually(lambda: daemon.client.get("/api/v1/cameras").json()[0]["frames"])
        eventually(lambda: daemon.client.get("/api/v1/cameras").json()[0]["frames"] > frames + 20)
        with (home / "edgecl.toml").open("a") as settings:
            settings.write("[camera]\nread_timeout_s = 7.5\n")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: daemon.client.get("/api/v1/cameras").json()[0]["frames"] < frames)


def test_settings_that_cannot_be_used_change_nothing(home):
    with running(home, "--camera", "browser:") as daemon:
        (home / "edgecl.toml").write_text("[camera]\nwidth_px = -3\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.expect("the settings could not be read anew")
        assert daemon.client.get("/healthz").status_code == 200


# systemd


class Systemd:
    """The other end of sd_notify."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(30)

    def hears(self, words):
        """Wait for a message with these words; gives all up to it."""
        heard = []
        while not heard or words not in heard[-1]:
            heard.append(self.socket.recv(4096).decode())
        return heard

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def test_systemd_hears_that_it_is_ready_alive_and_ending(home, tmp_path):
    with Systemd(tmp_path) as systemd:
        environment = os.environ | {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "5000000"}
        with running(home, "--camera", "browser:", environment=environment) as daemon:
            assert "STATUS=answers at" in systemd.hears("READY=1")[-1]
            systemd.hears("WATCHDOG=1")
            systemd.hears("WATCHDOG=1")
            daemon.process.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in systemd.hears("RELOADING=1")[-1]
            systemd.hears("READY=1")
            daemon.process.terminate()
            systemd.hears("STOPPING=1")


def test_nobody_is_told_where_nobody_listens(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nothing"))
    assert notify("READY=1") is False


# Commands beside it


def test_commands_that_change_something_go_through_the_daemon(home, tmp_path):
    with served(home) as there:
        note.leave(home, there.address, "")
        taught = run("teach", "cup", pictures(tmp_path / "cups", "cup"), "--home", home, "--json")
        assert (taught.status, taught.record["seen"], taught.record["origin"]) == (0, 6, "folder"), taught.err
        run("teach", "fork", pictures(tmp_path / "forks", "fork"), "--home", home)
        assert [one.name for one in there.daemon.state.classes] == ["cup", "fork"]
        assert run("classes", "rename", "fork", "spoon", "--home", home, "--json").record["from_label"] == "fork"
        (first, *_) = run("examples", "cup", "--home", home, "--json").records
        assert run("correct", first["example"], "spoon", "--home", home, "--json").record["kind"] == "correct"
        assert run("undo", "--home", home, "--json").record["kind"] == "correct"
        assert run("classes", "merge", "spoon", "cup", "--home", home, "--json").record["label"] == "cup"
        backup = tmp_path / "memory.backup"
        assert run("backup", backup, "--home", home).status == 0
        proof = run("forget", "cup", "--yes", "--home", home, "--json").record
        assert (proof["label"], proof["found"]) == ("cup", 0)
        assert there.daemon.state.classes == ()
        assert run("restore", backup, "--home", home, "--json").record["classes"] == ["cup"]
        assert [one.name for one in there.daemon.state.classes] == ["cup"]


def test_frames_that_predict_doubts_wait_for_review_at_the_daemon(home, tmp_path):
    with served(home) as there:
        note.leave(home, there.address, "")
        there.teach("cup")
        there.teach("fork")
        told = run("predict", pictures(tmp_path / "others", "zebra"), "--review", "--home", home, "--json")
        assert told.status == 0, told.err
        kept = [record["review"] for record in told.records if record["review"] is not None]
        assert kept
        assert [one["review"] for one in there.client.get("/api/v1/reviews").json()] == kept


def test_a_command_is_refused_by_the_daemon_as_it_would_be_without_one(home):
    without = run("undo", "--home", home)
    with served(home) as there:
        note.leave(home, there.address, "")
        assert run("undo", "--home", home) == without
        assert run("forget", "cup", "--yes", "--home", home).status == 1


def test_a_camera_of_the_daemon_is_taught_through_it(home):
    with served(home, ["sample://cat?fps=30"]) as there:
        note.leave(home, there.address, "")
        eventually(lambda: there.daemon.live)
        taught = run("teach", "cat", "sample://cat?fps=30", "--seconds", 1, "--home", home, "--json")
        assert (taught.status, taught.record["origin"], taught.record["seen"] > 10) == (0, "camera", True), taught.err


def test_a_daemon_with_a_token_is_asked_with_it(home, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    with running(home, "--camera", "browser:", "--token-file", token):
        taught = run("teach", "cup", pictures(tmp_path / "cups", "cup"), "--home", home)
        assert taught.status == 0, taught.err
        assert oct((home / note.NOTE).stat().st_mode & 0o777) == "0o600"


def test_a_command_asks_the_daemon_without_a_proxy(home, tmp_path, monkeypatch):
    with served(home) as there:
        note.leave(home, there.address, "")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # where nobody is
        taught = run("teach", "cup", pictures(tmp_path / "cups", "cup"), "--home", home)
        assert taught.status == 0, taught.err


def test_the_word_of_a_daemon_that_was_killed_is_not_believed_of_another_process(home):
    note.leave(home, "http://127.0.0.1:9", "secret")
    record = json.loads((home / note.NOTE).read_text())
    (home / note.NOTE).write_text(json.dumps(record | {"pid": 4_000_000}))
    with Store(home):
        assert note.running(home) is None
        assert "found another process" in run("undo", "--home", home).err


def test_the_word_of_a_daemon_that_was_killed_is_not_believed(home, tmp_path):
    with running(home, "--camera", "browser:") as daemon:
        daemon.process.kill()
        daemon.process.wait()
        assert note.found(home) is not None
        began = time.monotonic()
        assert run("teach", "cup", pictures(tmp_path / "cups", "cup"), "--home", home).status == 0
        assert time.monotonic() - began < 20


def test_the_status_tells_of_the_daemon(home):
    assert run("status", "--home", home, "--json").status == 1, "there is no memory yet"
    with running(home, "--camera", "browser:") as daemon:
        record = run("status", "--home", home, "--json").record
        runs = {"precision": "int8", "provider": "cpu", "threads": record["threads"]}
        assert record["daemon"] == {"pid": daemon.process.pid, "address": daemon.address} | runs
    assert run("status", "--home", home, "--json").record["daemon"] is None


FRAGMENTED = """
import ctypes, sys
import numpy as np
from edgecl.daemon.allocation import give_back

if sys.argv[1] == "give back":
    give_back()

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

large = np.ones(2_500_000)  # 20 MB: from now on glibc would take what is smaller from its heap
del large
before = resident_mb()
arrays = [np.ones(1_000_000) for _ in range(8)]
pin = ctypes.create_string_buffer(100_000)  # at the heap's end
del arrays
print(resident_mb() - before)
"""


@pytest.mark.parametrize(("how", "least_mb", "most_mb"), [("as it is", 50, 80), ("give back", -10, 5)])
def test_what_a_lesson_took_goes_back_to_the_system(how, least_mb, most_mb):
    told = subprocess.run([sys.executable, "-c", FRAGMENTED, how], capture_output=True, text=True, check=True)
    assert least_mb <= float(told.stdout) <= most_mb


def test_cameras_of_the_command_line_may_have_names():
    given = cameras_given(["hall=csi://0", "rtsp://door.lan/live?channel=1", "pipe:show --size=2", "0"])
    assert [(one.name, one.url) for one in given] == [
        ("hall", "csi://0"),
        (None, "rtsp://door.lan/live?channel=1"),
        (None, "pipe:show --size=2"),
        (None, "0"),
    ]


def test_a_file_with_an_equals_sign_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("2024=garden.avi").touch()
    assert [(one.name, one.url) for one in cameras_given(["2024=garden.avi"])] == [(None, "2024=garden.avi")]


def test_a_name_that_is_none_is_told_of_as_the_option():
    for name in ("-hall", "front door", "küche"):
        with pytest.raises(ConfigRefused, match=f"--camera: found '{name}'"):
            cameras_given([f"{name}=rtsp://door.lan/live"])
