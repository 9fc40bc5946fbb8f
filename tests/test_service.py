"""The daemon as a service: its units as systemd reads them, its installation on an image and on a machine that runs."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import boards
import pytest
from commands import run
from daemons import untaught

from edgecl import board, config
from edgecl.config import CameraEntry, default_home, load_settings
from edgecl.errors import ConfigRefused, ServiceRefused, StoreUnwritable
from edgecl.files import exclusive, private_folder
from edgecl.memory.store import Store
from edgecl.systemd import host as hosts
from edgecl.systemd import installing, state
from edgecl.systemd.host import Host
from edgecl.systemd.installing import install, program_of_this, uninstall
from edgecl.systemd.state import look
from edgecl.systemd.units import CONSOLIDATION, JETSON, SERVICE, TIMER, Machine, units

EXPOSURE_MAX = 15  # tenths: what systemd calls OK begins at 4.9
PROGRAM = Path("/opt/edgecl/bin/edgecl")

# Of systemd 252, as it said them of the service that runs, that failed and that was stopped.
RUNNING = """ActiveState=active
SubState=running
Result=success
MainPID=153
NRestarts=2
MemoryCurrent=132911104
StatusText=answers at {address}
UnitFileState=enabled
ActiveEnterTimestamp=Sat 2026-11-28 19:23:14 UTC
"""
FAILED = """ActiveState=failed
SubState=failed
Result=watchdog
MainPID=0
NRestarts=7
MemoryCurrent=[not set]
StatusText=answers at http://127.0.0.1:8420
UnitFileState=enabled
ActiveEnterTimestamp=
"""
SYSTEMCTL = """
import sys
from pathlib import Path
here = Path(__file__).parent
with (here / "said").open("a") as said:
    said.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "show":
    print((here / sys.argv[-1]).read_text(), end="")
elif (here / "fails").exists() and sys.argv[1] == (here / "fails").read_text():
    sys.exit("Job for edgecl.service failed because the control process exited with error code.")
"""
SYSUSERS = """
import sys
from pathlib import Path
root = Path(__file__).parents[1]
if "edgecl" not in (root / "etc" / "passwd").read_text():
    with (root / "etc" / "passwd").open("a") as passwd:
        passwd.write("edgecl:x:996:996:edgecl:/var/lib/edgecl:/usr/sbin/nologin\\n")
"""


def written(folder: Path, machine: Machine) -> Path:
    for name, text in units(machine).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def put_program(root: Path, torch: bool = False) -> None:
    """An environment with edgecl in it, as far as the installation looks at it."""
    program = root / "opt/edgecl/bin/edgecl"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    library = root / "opt/edgecl/lib/python3.11/site-packages/torch"
    shutil.rmtree(library, ignore_errors=True)
    if torch:
        library.mkdir(parents=True)
        (library / "__init__.py").touch()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The root of an image with as much as systemd's own commands need."""
    if os.geteuid() != 0:
        pytest.skip("only root may install a service, also in an image")
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (root / "etc/group").write_text("root:x:0:\nvideo:x:44:\n")
    put_program(root)
    return root


@pytest.fixture
def machine(image: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """One that runs: its files lie in `image`, its systemctl notes what it was told."""
    boards.put(image / "bin", "systemctl", SYSTEMCTL)
    boards.put(image / "bin", "systemd-sysusers", SYSUSERS)
    monkeypatch.setenv("PATH", str(image / "bin"))
    monkeypatch.setattr(hosts, "THIS", image)
    monkeypatch.setattr(hosts, "IN_CHARGE", image)
    says(Host(image, True), RUNNING.format(address="http://127.0.0.1:9"))
    return Host(image, True)


def says(host: Host, service: str, timer: str = "ActiveState=active\n", consolidation: str = "ActiveState=inactive\n"):
    for name, text in ((SERVICE, service), (TIMER, timer), (CONSOLIDATION, consolidation)):
        (host.root / "bin" / name).write_text(text)


def told(host: Host) -> list[str]:
    """What systemctl was told to do, apart from questions."""
    lines = (host.root / "bin" / "said").read_text().splitlines()
    return [line for line in lines if not line.startswith("show")]


def by_hand(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


# The units


@pytest.mark.parametrize("jetson", [False, True])
def test_systemd_finds_no_fault_in_the_units(tmp_path, image, jetson):
    folder = written(tmp_path, Machine(image / "opt/edgecl/bin/edgecl", trains=True, jetson=jetson))
    done = by_hand("systemd-analyze", "verify", *(str(folder / name) for name in (SERVICE, CONSOLIDATION, TIMER)))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", [SERVICE, CONSOLIDATION])
def test_a_service_that_is_broken_into_can_do_little(tmp_path, name):
    folder = written(tmp_path, Machine(trains=True))
    command = ("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(folder / name))
    assert by_hand(*command).returncode == 0


def test_the_threshold_can_be_passed(tmp_path):
    (tmp_path / SERVICE).write_text(f"[Service]\nExecStart={PROGRAM} run\n")
    command = ("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(tmp_path / SERVICE))
    assert by_hand(*command).returncode != 0


@pytest.mark.parametrize("path", ["/opt/my edgecl/bin/edgecl", "/opt/100%/edgecl", "bin/edgecl", "/opt/$HOME/edgecl"])
def test_a_path_that_a_unit_would_read_otherwise_is_refused(path):
    with pytest.raises(ServiceRefused, match="expected an absolute path"):
        Machine(program=Path(path))


def test_the_watchdog_has_patience_for_what_the_daemon_may_take():
    """It speaks every half second, and not while a part of it is silent for up to 20 s."""
    patience = re.search(r"^WatchdogSec=(\d+)$", units(Machine())[SERVICE], re.MULTILINE)
    assert patience and int(patience[1]) >= 30


def test_those_who_look_for_the_units_in_deploy_find_them():
    deploy = Path(__file__).parents[1] / "deploy" / "systemd"
    assert {path.name for path in deploy.iterdir()} == {SERVICE, CONSOLIDATION, TIMER, JETSON, "edgecl.sysusers"}


# On an image


def test_an_image_gets_a_user_and_a_service_that_starts_with_it(image, monkeypatch):
    monkeypatch.setattr(hosts, "THIS", image)
    monkeypatch.setattr(sys, "argv", [str(PROGRAM)])
    done = run("service", "install", "--offline", "--camera", "csi://0", "--json")
    assert (done.status, done.record["address"], done.record["consolidates"]) == (0, None, False)
    entry = next(line for line in (image / "etc/passwd").read_text().splitlines() if line.startswith("edgecl:"))
    assert entry.split(":")[5:] == ["/var/lib/edgecl", "/usr/sbin/nologin"]
    groups = dict(line.split(":")[::3] for line in (image / "etc/group").read_text().splitlines())
    assert (groups["video"], groups["render"]) == ("edgecl", "edgecl")
    link = image / "etc/systemd/system/multi-user.target.wants" / SERVICE
    assert link.is_symlink() and str(link.readlink()) == f"/usr/local/lib/systemd/system/{SERVICE}"
    home = image / "var/lib/edgecl"
    assert (home.stat().st_mode & 0o777, home.stat().st_uid) == (0o700, int(entry.split(":")[2]))
    assert [camera.url for camera in load_settings(home).cameras] == ["csi://0"]
    assert (home / "edgecl.toml").stat().st_uid == home.stat().st_uid


def test_units_can_be_read_by_everyone_whatever_the_umask_is(image):
    before = os.umask(0o077)
    try:
        install(Host(image, False), PROGRAM, ())
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    unit = image / "usr/local/lib/systemd/system" / SERVICE
    assert unit.stat().st_mode & 0o777 == 0o644
    assert {path.stat().st_mode & 0o777 for path in (*unit.parents[:4], image / "var", image / "var/lib")} == {0o755}


def test_it_consolidates_at_night_where_torch_is(image):
    put_program(image, torch=True)
    assert install(Host(image, False), PROGRAM, ()).consolidates
    assert (image / "etc/systemd/system/timers.target.wants" / TIMER).is_symlink()
    put_program(image, torch=False)
    assert not install(Host(image, False), PROGRAM, ()).consolidates
    assert not (image / "etc/systemd/system/timers.target.wants" / TIMER).is_symlink()
    assert not (image / "usr/local/lib/systemd/system" / TIMER).exists()


def test_what_is_in_a_home_stays_when_the_service_is_installed_again_or_taken_away(image):
    install(Host(image, False), PROGRAM, [CameraEntry(url="0")])
    home = image / "var/lib/edgecl"
    (home / "edgecl.db").write_bytes(b"taught")
    install(Host(image, False), PROGRAM, [CameraEntry(url="0")])
    uninstall(Host(image, False), purge=False)
    assert (home / "edgecl.db").read_bytes() == b"taught"
    assert [camera.url for camera in load_settings(home).cameras] == ["0"]


@pytest.mark.parametrize("before", [(), (False,)], ids=["at once", "later"])
def test_nothing_is_left_of_a_service_that_is_purged(image, before):
    put_program(image, torch=True)
    install(Host(image, False), PROGRAM, [CameraEntry(url="0")])
    (image / "var/lib/edgecl/releases/0001").mkdir(parents=True)
    (image / "var/lib/edgecl/current").symlink_to("/etc/passwd")
    for purge in (*before, True):
        uninstall(Host(image, False), purge)
    left = [path for path in image.rglob("*edgecl*") if "opt" not in path.parts]
    assert (left, Path("/etc/passwd").exists()) == ([], True)


def test_a_home_that_root_copied_becomes_the_services_own(image):
    (folder := image / "var/lib/edgecl/releases/0001").mkdir(parents=True)
    (folder / "manifest.json").touch()
    (image / "var/lib/edgecl/current").symlink_to("/etc/passwd")  # what a link leads to is not in it
    before = Path("/etc/passwd").stat().st_uid
    install(Host(image, False), PROGRAM, ())
    owner = Host(image, False).ids("edgecl")[0]
    assert {path.lstat().st_uid for path in (image / "var/lib/edgecl").rglob("*")} == {owner}
    assert Path("/etc/passwd").stat().st_uid == before != owner


def test_a_home_that_is_a_link_is_refused(image):
    (image / "var/lib").mkdir(parents=True)
    (image / "var/lib/edgecl").symlink_to("/srv")
    with pytest.raises(ServiceRefused, match="mount the other disk there"):
        install(Host(image, False), PROGRAM, ())


def test_cameras_are_added_to_settings_that_name_none(image):
    home = image / "var/lib/edgecl"
    home.mkdir(parents=True)
    (home / "edgecl.toml").write_text("# mine\n[gate]\nrate_max_hz = 5.0")
    install(Host(image, False), PROGRAM, [CameraEntry(url='pipe:cat "a b.mjpeg"'), CameraEntry(url="1")])
    found = load_settings(home)
    assert (found.gate.rate_max_hz, [camera.url for camera in found.cameras]) == (5.0, ['pipe:cat "a b.mjpeg"', "1"])
    assert (home / "edgecl.toml").read_text().startswith("# mine\n")


def test_a_camera_may_be_given_a_name(image):
    hall = CameraEntry(url="csi://0", name="hall")
    for _ in range(2):  # the second time it is there
        install(Host(image, False), PROGRAM, [hall])
    assert load_settings(image / "var/lib/edgecl").cameras == (hall,)


def test_cameras_that_someone_named_are_not_replaced(image):
    install(Host(image, False), PROGRAM, [CameraEntry(url="0")])
    with pytest.raises(ConfigRefused, match="name cameras already"):
        install(Host(image, False), PROGRAM, [CameraEntry(url="1")])
    assert [camera.url for camera in load_settings(image / "var/lib/edgecl").cameras] == ["0"]


def test_settings_that_would_not_be_understood_are_not_written(image):
    (home := image / "var/lib/edgecl").mkdir(parents=True)
    (home / "edgecl.toml").write_text("cameras = []\n")
    with pytest.raises(ConfigRefused, match="cameras"):
        install(Host(image, False), PROGRAM, [CameraEntry(url="0")])
    assert (home / "edgecl.toml").read_text() == "cameras = []\n"


def test_a_film_is_noted_by_its_whole_path(image, tmp_path, monkeypatch):
    monkeypatch.setattr(installing, "HIDDEN", ("/home",))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").touch()
    install(Host(image, False), PROGRAM, [CameraEntry(url="film.mp4")])
    assert [one.url for one in load_settings(image / "var/lib/edgecl").cameras] == [str(tmp_path / "film.mp4")]


def test_a_film_that_the_service_would_not_see_is_refused(image, tmp_path):
    (tmp_path / "film.mp4").touch()  # below /tmp
    with pytest.raises(ServiceRefused, match="such as /srv; move it"):
        install(Host(image, False), PROGRAM, [CameraEntry(url=str(tmp_path / "film.mp4"))])


def test_what_the_disk_refuses_is_put_into_words(image):
    (image / "usr").mkdir()
    (image / "usr/local").touch()
    with pytest.raises(ServiceRefused, match="could not be changed"):
        install(Host(image, False), PROGRAM, ())


def test_the_program_is_known_by_the_name_that_an_upgrade_keeps(image, monkeypatch):
    (image / "opt/edgecl").rename(image / "opt/edgecl-a")
    (image / "opt/edgecl").symlink_to("edgecl-a")
    (image / "bin").mkdir()
    (image / "bin/edgecl").symlink_to("../opt/edgecl/bin/edgecl")
    monkeypatch.setattr(sys, "argv", [str(image / "bin/edgecl"), "service", "install"])
    assert program_of_this() == image / "bin/../opt/edgecl/bin/edgecl"
    monkeypatch.setattr(sys, "argv", ["/usr/lib/python3/edgecl/__main__.py"])
    assert program_of_this() == Path(sys.prefix) / "bin/edgecl"


@pytest.mark.parametrize("place", ["/home/pi/edgecl/bin/edgecl", "/root/.venv/bin/edgecl", "/tmp/venv/bin/edgecl"])
def test_a_program_that_the_service_would_not_see_is_refused(image, place):
    there = image / place.lstrip("/")
    there.parent.mkdir(parents=True)
    shutil.copy(image / "opt/edgecl/bin/edgecl", there)
    with pytest.raises(ServiceRefused, match="expected a place that the service sees"):
        install(Host(image, False), Path(place), ())


def test_a_program_that_is_closed_to_others_is_refused(image):
    (image / "opt/edgecl").chmod(0o700)
    with pytest.raises(ServiceRefused, match=r"closed to other users; open it with: chmod o\+rx .*/opt/edgecl$"):
        install(Host(image, False), PROGRAM, ())


def test_a_program_that_is_not_there_is_refused(image):
    with pytest.raises(ServiceRefused, match="sudo python3 -m venv /opt/edgecl"):
        install(Host(image, False), Path("/opt/other/bin/edgecl"), ())


def test_only_root_may(image, monkeypatch):
    install(Host(image, False), PROGRAM, ())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for change in (
        lambda: install(Host(image, False), PROGRAM, ()),
        lambda: uninstall(Host(image, False), purge=True),
    ):
        with pytest.raises(ServiceRefused, match="run it with: sudo"):
            change()
    assert (image / "var/lib/edgecl").is_dir()


# On a machine that runs


def test_a_machine_without_systemd_is_told_what_else_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "IN_CHARGE", tmp_path / "nowhere")
    done = run("service", "install")
    assert done.status == 1 and "edgecl run" in done.err and "--offline" in done.err


def test_it_is_started_anew_and_enabled_in_that_order(machine):
    install(machine, PROGRAM, ())
    assert told(machine) == ["daemon-reload", f"enable {SERVICE}", f"restart {SERVICE}"]


def test_one_that_runs_is_stopped_before_anything_of_its_home_is_touched(machine):
    install(machine, PROGRAM, ())
    (machine.root / "bin" / "said").unlink()
    install(machine, PROGRAM, ())
    assert told(machine)[0] == f"stop {SERVICE}"


def test_a_service_that_does_not_start_is_told_in_the_words_of_systemd(machine):
    (machine.root / "bin" / "fails").write_text("restart")
    with pytest.raises(ServiceRefused, match=r"status 1: Job for edgecl\.service failed"):
        install(machine, PROGRAM, ())


def test_it_is_stopped_before_it_is_taken_away(machine):
    put_program(machine.root, torch=True)
    install(machine, PROGRAM, ())
    (machine.root / "bin" / "said").unlink()
    uninstall(machine, purge=False)
    assert told(machine) == [f"disable --now {SERVICE} {TIMER}", f"stop {CONSOLIDATION}", "daemon-reload"]


def test_a_jetson_gets_what_its_camera_and_gpu_need(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(board, "TREE", tmp_path)
    (tmp_path / "model").write_text("NVIDIA Jetson Orin Nano Developer Kit\0")
    install(machine, PROGRAM, ())
    assert (machine.units() / f"{SERVICE}.d" / JETSON).is_file()
    uninstall(machine, purge=False)
    assert not (machine.units() / f"{SERVICE}.d").exists()


class Answers(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/healthz" else 404)
        self.end_headers()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_daemon_itself_is_asked_whether_it_is_well(machine, status, healthy):
    install(machine, PROGRAM, ())
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        server.status = status
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        says(machine, RUNNING.format(address=f"http://127.0.0.1:{server.server_port}"))
        done = run("service", "status", "--json")
        server.shutdown()
        thread.join()
    assert (done.record["healthy"], done.status) == (healthy, 0 if healthy else 1)
    assert (done.record["pid"], done.record["restarts"], done.record["ram_bytes"]) == (153, 2, 132911104)


def test_one_that_failed_says_why_and_where_to_look(machine):
    install(machine, PROGRAM, ())
    says(machine, FAILED)
    done = run("service", "status")
    assert done.status == 1 and "failed (watchdog)" in done.out and "edgecl service logs" in done.err


@pytest.mark.parametrize(
    ("timer", "consolidation", "words"),
    [
        ("active", "inactive", "nightly, timer active"),
        ("active", "activating", "runs"),
        ("active", "failed", "failed last time"),
    ],
)
def test_the_nightly_consolidation_is_shown(machine, timer, consolidation, words):
    put_program(machine.root, torch=True)
    install(machine, PROGRAM, ())
    says(machine, FAILED, f"ActiveState={timer}\n", f"ActiveState={consolidation}\n")
    assert look(machine).consolidates == words


@pytest.mark.parametrize("command", ["status", "uninstall", "logs"])
def test_where_none_is_installed_it_is_said_how_to(machine, command):
    done = run("service", command)
    assert done.status == 1 and "install it with: sudo edgecl service install" in done.err


def test_its_words_come_from_the_journal(machine):
    """The command gives way to journalctl, so it is run as a process of its own."""
    install(machine, PROGRAM, ())
    boards.put(machine.root / "bin", "journalctl", "import json, sys; print(json.dumps(sys.argv[1:]))")
    script = (
        "from pathlib import Path; from edgecl.systemd import host; from edgecl.cli.app import main;"
        f"host.THIS = host.IN_CHARGE = Path({str(machine.root)!r});"
        "main(['service', 'logs', '-n', '7', '-f', '--json'])"
    )
    done = by_hand(sys.executable, "-c", script)
    expected = [f"--unit={SERVICE}", f"--unit={CONSOLIDATION}", "--lines=7", "--output=json", "--follow"]
    assert json.loads(done.stdout) == ["--no-pager", *expected]


# Commands beside it


def test_the_home_of_the_service_is_meant_by_those_whom_it_lets_in(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGECL_HOME", raising=False)
    monkeypatch.setattr("edgecl.config.SERVICE_HOME", tmp_path / "none")
    users = default_home()
    monkeypatch.setattr("edgecl.config.SERVICE_HOME", tmp_path)
    assert (users != tmp_path, default_home()) == (True, tmp_path)
    monkeypatch.setenv("EDGECL_HOME", "/elsewhere")
    assert default_home() == Path("/elsewhere")


def anothers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that belongs to another user than root, seen by root."""
    if os.geteuid() == 0:
        os.chown(folder, 12345, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


def test_root_leaves_nothing_in_a_home_that_its_owner_could_not_change(tmp_path, monkeypatch):
    home = anothers(tmp_path, monkeypatch)
    with pytest.raises(StoreUnwritable, match=r"run it as: sudo -u .* edgecl"), exclusive(home / "edgecl.lock"):
        pass
    with pytest.raises(StoreUnwritable, match=r"run it as: sudo -u .* edgecl"):
        private_folder(home / "releases")
    with pytest.raises(StoreUnwritable, match=r"run it as: sudo -u .* edgecl"):
        private_folder(home)
    assert list(home.iterdir()) == []


def test_root_runs_nothing_that_another_wrote_into_a_home(tmp_path, monkeypatch):
    (tmp_path / "edgecl.toml").write_text(f'[[cameras]]\nurl = "pipe:touch {tmp_path}/was-here"\n')
    done = run("doctor", "--home", anothers(tmp_path, monkeypatch))
    assert done.status == 1 and "run it as: sudo -u" in done.err
    assert not (tmp_path / "was-here").exists()


def test_a_timer_waits_for_a_board_to_be_cool(tmp_path, monkeypatch):
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("105000\n")
    monkeypatch.setattr(board, "SYS", tmp_path)
    found = run("consolidate", "--if-due", "--home", tmp_path / "home", "--json").record
    assert (found["due"], found["reason"]) == (False, "not now: it is 105 °C hot; nothing was done")


def test_whoever_looks_at_another_home_is_told_of_the_services(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "IN_CHARGE", tmp_path)
    monkeypatch.setattr(state, "is_installed", lambda host: True)
    home = untaught(tmp_path)
    Store(home).close()
    assert "the service's has its own" in run("status", "--home", home).out
    monkeypatch.setattr(config, "SERVICE_HOME", home)
    assert "the service's has its own" not in run("status", "--home", home).out
