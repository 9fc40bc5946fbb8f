"""The doctor: what it finds, and what it says to do."""

import re
import shutil
from pathlib import Path

import boards
import cv2
import numpy as np
import pytest
from brokers import broker, free_port
from commands import bare_home, run
from daemons import eventually, running

from edgecl import board
from edgecl.doctor import examine
from edgecl.files import sha256
from edgecl.manifest import read_manifest
from edgecl.memory.store import Store
from edgecl.releases import install_first
from edgecl.systemd import host as hosts
from edgecl.systemd.state import ServiceState

OPERATIONS = Path(__file__).parent.parent / "docs" / "operations.md"


def section(path, title):
    """What stands below a heading of a page."""
    return path.read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.fixture
def home(tmp_path, backbone_folder):
    return bare_home(tmp_path / "home", backbone_folder)


def findings(home):
    return {finding.check: finding for finding in examine(home)}


def test_a_sound_home_has_nothing_that_fails(home):
    run("teach", "cat", "sample://cat", "--limit", 9, "--home", home)
    told = run("doctor", "--home", home, "--json")
    assert told.status == 0
    documented = re.findall(r"^\| `(\w+)` \|", section(OPERATIONS, "What `doctor` says"), re.MULTILINE)
    assert [one["check"] for one in told.records] == documented
    assert all(one.keys() == {"check", "state", "found", "remedy"} for one in told.records)
    assert "classes: 1" in findings(home)["memory"].found


def test_every_line_of_the_doctor_begins_with_its_state(home):
    told = run("doctor", "--home", home).out.split("\n\n")[0]
    lines = [line for line in told.splitlines() if not line.startswith(" ")]
    assert {line.split()[0] for line in lines} <= {"ok", "warn", "fail"}


def test_the_doctor_ends_with_what_is_to_be_done_the_worst_first(home):
    """No camera is here, or it is taken away; that is told before the memory, which is worse."""
    home.chmod(0o755)
    (home / "edgecl.toml").write_text('[[cameras]]\nurl = "nowhere.mp4"\n')
    (home / "edgecl.db").write_bytes(b"no database")
    steps = run("doctor", "--home", home).out.rstrip().split("\n\nto do:\n")[1].splitlines()
    assert [step.partition(":")[0] for step in steps] == ["1. memory", "2. trunk", "3. home", "4. camera"]
    assert steps[2] == f"3. home: chmod 700 {home}"


def test_the_doctor_ends_with_ready_where_nothing_is_to_be_done(home, tmp_path):
    cv2.imwrite(str(tmp_path / "cup.jpg"), np.zeros((480, 640, 3), np.uint8))
    (home / "edgecl.toml").write_text(f'[[cameras]]\nurl = "{tmp_path}/cup.jpg"\n')
    told = run("doctor", "--home", home)
    assert told.out.endswith("\n\nready\n")
    assert "gives 640 × 480 px" in told.out


def test_each_camera_of_the_settings_is_looked_through(home):
    (home / "edgecl.toml").write_text('[[cameras]]\nurl = "browser:"\n[[cameras]]\nurl = "sample://cat"\n')
    found = [finding for finding in examine(home) if finding.check == "camera"]
    assert [one.state for one in found] == ["ok", "ok"]
    assert "waits for a page" in found[0].found and "sample://cat gives" in found[1].found


def test_the_ribbon_cable_of_a_board_is_tried_where_no_camera_is_named(home, tmp_path, monkeypatch):
    monkeypatch.setattr(board, "TREE", tmp_path)
    (tmp_path / "model").write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    monkeypatch.setenv("PATH", str(boards.raspberry(tmp_path / "bin")))
    assert "csi://0 gives" in findings(home)["camera"].found
    boards.raspberry(tmp_path / "bin", "none")
    assert "no cameras available" in findings(home)["camera"].found


def test_a_camera_that_a_daemon_looks_through_is_not_taken_from_it(tmp_path, backbone_folder):
    home = bare_home(tmp_path / "home", backbone_folder)
    with running(home, "--camera", "sample://cat") as daemon:
        eventually(lambda: daemon.client.get("/readyz").status_code == 200)
        assert "each gave a picture lately" in findings(home)["camera"].found
    with running(home, "--camera", "nowhere.mp4"):
        found = findings(home)["camera"]
    assert (found.state, "camera1" in found.found) == ("warn", True)


@pytest.mark.parametrize(
    ("settings", "check", "said"),
    [
        ('[server]\nhost = "0.0.0.0"\n', "page", "without a token"),
        ('[server]\ntoken_file = "/nowhere/token"\n', "page", "/nowhere/token"),
        ('[mqtt]\nhost = "127.0.0.1"\nusername = "me"\npassword_file = "/nowhere/word"\n', "broker", "/nowhere/word"),
    ],
)
def test_what_keeps_a_daemon_from_starting_is_found_before(home, settings, check, said):
    (home / "edgecl.toml").write_text(settings)
    found = findings(home)[check]
    assert (found.state, said in found.found) == ("fail", True), found


def test_a_broker_that_is_away_is_told_with_its_place(home):
    port = free_port()
    (home / "edgecl.toml").write_text(f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n')
    found = findings(home)["broker"]
    assert (found.state, f"127.0.0.1:{port}" in found.found) == ("warn", True), found


def test_a_broker_that_lets_us_in_is_well(home, tmp_path):
    with broker(tmp_path) as near:
        (home / "edgecl.toml").write_text(f'[mqtt]\nhost = "127.0.0.1"\nport = {near.port}\n')
        assert findings(home)["broker"].state == "ok"


@pytest.mark.parametrize(("healthy", "state"), [(True, "ok"), (False, "warn")])
def test_the_service_of_this_home_is_looked_at(home, tmp_path, monkeypatch, healthy, state):
    monkeypatch.setattr(hosts, "IN_CHARGE", tmp_path)
    seen = ServiceState("active (running)", True, "", 7, 0, None, "http://127.0.0.1:1", healthy, None)
    monkeypatch.setattr("edgecl.doctor.machine.is_on_this_machine", lambda: True)
    monkeypatch.setattr("edgecl.doctor.machine.SERVICE_HOME", home)
    monkeypatch.setattr("edgecl.doctor.machine.look", lambda host: seen)
    assert findings(home)["service"].state == state


def test_a_home_that_is_not_there_is_no_fault_and_is_not_made(tmp_path):
    assert findings(tmp_path / "home")["home"].state == "ok"
    assert not (tmp_path / "home").exists()


def test_a_missing_backbone_fails_with_status_1(tmp_path):
    told = run("doctor", "--home", tmp_path / "home")
    assert told.status == 1
    assert "edgecl export" in told.out
    assert "1 check failed" in told.err


def test_a_memory_of_another_trunk_fails(home):
    run("teach", "cat", "sample://cat", "--limit", 9, "--home", home)
    (home / "edgecl.toml").write_text('[backbone]\nprecision = "fp32"\n')
    assert findings(home)["trunk"].state == "fail"
    assert "another trunk" in run("status", "--home", home).out


def test_a_head_that_is_not_there_fails(home):
    (home / "edgecl.toml").write_text('[head]\nname = "oracle"\n')
    assert findings(home)["head"].state == "fail"


def test_a_damaged_release_fails(tmp_path, backbone_folder):
    release = install_first(tmp_path / "home", backbone_folder)
    (release / "trunk.int8.onnx").write_bytes(b"x")
    found = findings(tmp_path / "home")["backbone"]
    assert found.state == "fail"
    assert "trunk.int8.onnx" in found.found


def test_a_damaged_memory_fails(home):
    (home / "edgecl.db").write_bytes(b"no database")
    found = findings(home)["memory"]
    assert found.state == "fail"
    assert "edgecl restore" in found.found


def test_a_home_that_is_open_to_others_is_told_with_the_command_that_closes_it(home):
    home.chmod(0o755)
    found = findings(home)["home"]
    assert (found.state, found.remedy) == ("warn", f"chmod 700 {home}")


def test_settings_that_cannot_be_used_fail_and_the_rest_is_still_looked_at(home):
    (home / "edgecl.toml").write_text("[memory]\nper_class = 0\n")
    found = findings(home)
    assert found["settings"].state == "fail"
    assert found["backbone"].state == "ok"


def test_a_memory_that_another_process_writes_to_is_sound(home):
    with Store(home):
        found = findings(home)["memory"]
    assert found.state == "ok"
    assert "another process" in found.found


def test_a_runtime_that_answers_otherwise_than_the_exporter_fails(tmp_path, backbone_folder):
    folder = shutil.copytree(backbone_folder, tmp_path / "backbone")
    manifest = read_manifest(folder)
    with np.load(folder / manifest.answers.file) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["int8.embeddings"] = arrays["int8.embeddings"][::-1].copy()
    np.savez(folder / "answers.npz", **arrays)
    data = (folder / "answers.npz").read_bytes()
    entry = manifest.answers.model_copy(update={"bytes": len(data), "sha256": sha256(data)})
    (folder / "manifest.json").write_bytes(manifest.model_copy(update={"answers": entry}).to_bytes())
    found = findings(bare_home(tmp_path / "home", folder))
    assert found["backbone"].state == "ok"
    assert found["golden"].state == "fail"
    assert "golden pictures" in found["golden"].found
