"""The machine that gets the service."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgecl.errors import ServiceRefused

THIS, IN_CHARGE = Path("/"), Path("/run/systemd/system")
PATIENCE_S = 180.0  # a start waits until the daemon is ready
LINES = 15  # of what a command said that failed


@dataclass(frozen=True)
class Host:
    """Where files are put and commands of systemd run.

    Attributes:
        root: of its file system.
        runs: whether systemd is in charge of it.
    """

    root: Path
    runs: bool

    @classmethod
    def this(cls, offline: bool = False) -> Host:
        """This machine.

        Args:
            offline: where systemd is not in charge, as in the chroot of an image.

        Raises:
            ServiceRefused: it is not, and has to be.
        """
        if not offline and not IN_CHARGE.is_dir():
            raise ServiceRefused(
                f"found no systemd in charge of this machine, expected {IN_CHARGE}; let another supervisor run: "
                "edgecl run, or, in an image, install it --offline"
            )
        return cls(THIS, not offline)

    def path(self, path: Path) -> Path:
        """Where a path of the machine lies."""
        return self.root / str(path).lstrip("/")

    def units(self) -> Path:
        """The folder for units of what its owner installed; that for its owner's own changes comes before it."""
        return self.path(Path("/usr/local/lib/systemd/system"))

    def systemctl(self, *arguments: str) -> str:
        """Run it; returns what it said.

        Raises:
            ServiceRefused: it failed, with its words.
        """
        return self._run("systemctl", *arguments)

    def make_user(self, declaration: str) -> None:
        """Make the user of a file in one of the folders sysusers.d, if there is none yet.

        Raises:
            ServiceRefused: that failed.
        """
        self._run("systemd-sysusers", declaration)

    def _run(self, program: str, *arguments: str) -> str:
        path = shutil.which(program)
        if path is None:
            raise ServiceRefused(f"found no {program}, expected systemd; on Debian: apt install systemd")
        command = [path, *(() if self.runs else (f"--root={self.root}",)), *arguments]
        try:
            done = subprocess.run(  # noqa: S603  # systemd's own
                command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ServiceRefused(
                f"found {program} {' '.join(arguments)} still at it after {PATIENCE_S:g} s; "
                "see: sudo edgecl service logs"
            ) from error
        if done.returncode:
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-LINES:])
            raise ServiceRefused(f"{program} {' '.join(arguments)} failed, status {done.returncode}: {said}")
        return done.stdout

    def ids(self, user: str) -> tuple[int, int]:
        """Number of a user and of its group.

        Raises:
            ServiceRefused: there is no such user.
        """
        for line in self.path(Path("/etc/passwd")).read_text("utf-8", "replace").splitlines():
            if line.startswith(f"{user}:"):
                return int(line.split(":")[2]), int(line.split(":")[3])
        raise ServiceRefused(f"found no user {user} in {self.path(Path('/etc/passwd'))}, expected it to have been made")
