"""Does the service live through its life? Walks a bare Debian through docs/howto/pi.md, and its service through faults.

Run it as root by `make check-service`. A root with nothing but Python and systemd is made by debootstrap, the bundle is
installed there and a class is taught by the two commands of the howto; then systemd starts as process 1 of namespaces
of its own, and has to start, watch, restart and end the daemon. It needs a network for Debian's packages alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trial import PICTURES

PACKAGES = "systemd-sysv,dbus,python3"
PATIENCE_S = 90.0  # the watchdog alone takes 30
# As a container's own program would do it: what systemd needs of a machine, and nothing that is this one's.
BOOT = """set -e
mount --make-rprivate / && mount --bind "$1" "$1" && cd "$1"
mount -t proc proc proc && mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run && mount -t tmpfs tmpfs tmp && mount -t tmpfs -o mode=755 tmpfs dev
for name in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${name%:*}" c 1 "${name#*:}"; done
mknod -m 666 dev/tty c 5 0 && mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts && mount -t tmpfs tmpfs dev/shm && ln -s pts/ptmx dev/ptmx
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/edgecl-check && mount --bind /sys/fs/cgroup/edgecl-check sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    for group in /sys/fs/cgroup/*; do
        mkdir -p "$group/edgecl-check" "sys/fs/cgroup/${group##*/}"
        mount --bind "$group/edgecl-check" "sys/fs/cgroup/${group##*/}"
    done
fi
mkdir -p .old && pivot_root . .old && umount -l /.old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd systemd.unit=multi-user.target
"""
FIRST = "tar xf bundle.tar && python3 -I edgecl-*/install.py"
SECOND = "edgecl teach triangle train/triangle"


class Machine:
    """The one that was started.

    Attributes:
        root: of its file system.
        init: number of its systemd, as seen from here.
    """

    def __init__(self, root: Path, init: int) -> None:
        self.root, self.init = root, init

    def run(self, command: str, status: int = 0) -> str:
        """Run it there; ends this script where it ends otherwise than expected."""
        enter = ["nsenter", f"--target={self.init}", "--mount", "--pid", "--ipc", "--uts", "--root", "--wd"]
        return shell([*enter, "env", "-i", f"PATH={os.environ['PATH']}:/usr/local/bin", "sh", "-c", command], status)

    def wait(self, command: str, words: str) -> None:
        """Until a command says these words."""
        end = time.monotonic() + PATIENCE_S
        while words not in (said := self.run(f"{command} || true")):
            if time.monotonic() > end:
                raise SystemExit(f"{command}: found {said!r}, expected {words!r} within {PATIENCE_S:g} s")
            time.sleep(0.5)


def main() -> None:
    """Fail loudly if anything of it does not work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="for this machine and its Debian, from `make bundle`")
    parser.add_argument("--suite", default="bookworm", help="of Debian; its Python has to be the bundle's")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="of Debian's packages")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "root")
        shell(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", given.suite, str(root), given.mirror])
        print("a bare Debian is there", flush=True)
        shutil.copy(given.bundle, root / "root" / "bundle.tar")
        inside = ["chroot", str(root), "env", "--chdir=/root"]
        print(f"# {FIRST}\n{shell([*inside, 'sh', '-c', FIRST])}", flush=True)
        shell([*inside, "/opt/edgecl/bin/python", "-c", PICTURES])
        print(f"# {SECOND}\n{shell([*inside, 'sh', '-c', SECOND])}", flush=True)
        with booted(root) as machine:
            try:
                walk(machine)
            except SystemExit:
                print(machine.run("journalctl --no-pager -n 50"), file=sys.stderr)
                raise
    print("the service lives through its life")


def walk(machine: Machine) -> None:
    """Through the life of the service."""
    shutil.copy(machine.root / "root" / "disc.avi", machine.root / "srv")
    print(machine.run("edgecl service install --camera /srv/disc.avi"))
    machine.run("cd /root && edgecl teach triangle train/triangle && edgecl teach disc train/disc")
    expect(" disc ", machine.run("cd /root && edgecl predict test/disc/0.png"))
    machine.run("systemctl reload edgecl && edgecl service install")  # an upgrade
    expect(" disc ", machine.run("cd /root && edgecl predict test/disc/0.png"))
    expect("run it as: sudo -u edgecl", machine.run("systemctl stop edgecl; edgecl undo 2>&1", 1))
    machine.run("systemctl start edgecl && edgecl service status")
    for fault, says in (("KILL", "restarted 1 times"), ("STOP", "restarted 2 times")):
        machine.run(f"kill -{fault} $(systemctl show -P MainPID edgecl)")
        machine.wait("edgecl service status", says)
        machine.wait("edgecl service status", ", well")
        expect(" triangle ", machine.run("cd /root && edgecl predict test/triangle/1.png"))
        print(f"SIG{fault}: {says}, and knows what it knew", flush=True)
    print(machine.run("systemd-analyze security edgecl.service | tail -n 1"))
    print(machine.run("edgecl service status; edgecl service logs -n 5; edgecl service uninstall"))
    expect("edgecl.db", machine.run("ls /var/lib/edgecl"))
    machine.run("edgecl service status", 1)
    machine.run("edgecl service uninstall --purge && test ! -e /var/lib/edgecl")


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Systemd as process 1 on `root`; all that it began ends with the block."""
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        BOOT,
        "sh",
        str(root),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as outer:
        try:
            children, end = Path(f"/proc/{outer.pid}/task/{outer.pid}/children"), time.monotonic() + PATIENCE_S
            while not (found := children.read_text().split()):
                if outer.poll() is not None or time.monotonic() > end:
                    raise SystemExit("found no way to start systemd in namespaces of its own; see above for the reason")
                time.sleep(0.1)
            machine = Machine(root, int(found[0]))
            while time.monotonic() < end and not Path(f"/proc/{found[0]}/root/run/systemd/system").is_dir():
                time.sleep(0.1)
            machine.wait("systemctl is-system-running", "running")
            print("systemd is process 1 there", flush=True)
            yield machine
        finally:
            outer.send_signal(signal.SIGKILL)
            outer.wait()
            clear_groups()


def clear_groups() -> None:
    """Remove the control groups of the machine; those of its last processes can be removed once these have ended."""
    end = time.monotonic() + PATIENCE_S
    groups = Path("/sys/fs/cgroup")
    for group in (*groups.glob("edgecl-check"), *groups.glob("*/edgecl-check")):  # of the second version, of the first
        for folder in sorted((group, *(one for one in group.rglob("*") if one.is_dir())), reverse=True):
            while folder.is_dir():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.1)


def expect(words: str, said: str) -> None:
    """End this script where they are not said."""
    if words not in said:
        raise SystemExit(f"found {said!r}, expected {words!r}")


def shell(command: list[str], status: int = 0) -> str:
    """Run a command; returns what it printed, ends this script where its status is another."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "EDGECL_"))
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != status:
        raise SystemExit(
            f"{' '.join(command)[-300:]}: status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
