"""The machine that gets the service: the one that runs, or an image of one in a folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
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
        runs: whether it is this machine, with systemd in charge.
    """

    root: Path
    runs: bool

    @classmethod
    def of(cls, image: Path | None) -> Host:
        """The machine whose root is `image`; None for this one.

        Raises:
            ServiceRefused: systemd is not in charge of this one.
        """
        if image is not None:
            return cls(image.absolute(), False)
        if not IN_CHARGE.is_dir():
            raise ServiceRefused(
                f"found no systemd in charge of this machine, expected {IN_CHARGE}; let another supervisor run: "
                "edgecl run, or name the root of an image with --root"
            )
        return cls(THIS, True)

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
        done = subprocess.run(  # noqa: S603  # systemd's own
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False
        )
        if done.returncode:
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-LINES:])
            raise ServiceRefused(f"{program} {' '.join(arguments)} failed, status {done.returncode}: {said}")
        return done.stdout

    def groups(self) -> frozenset[str]:
        """Names of all groups."""
        return frozenset(entry[0] for entry in self._entries("group"))

    def ids(self, user: str) -> tuple[int, int]:
        """Number of a user and of its group.

        Raises:
            ServiceRefused: there is no such user.
        """
        for entry in self._entries("passwd"):
            if entry[0] == user:
                return int(entry[2]), int(entry[3])
        raise ServiceRefused(f"found no user {user} in {self.path(Path('/etc/passwd'))}, expected it to have been made")

    def _entries(self, name: str) -> Iterator[list[str]]:
        try:
            text = self.path(Path("/etc") / name).read_text("utf-8", "replace")
        except FileNotFoundError:
            return
        yield from (line.split(":") for line in text.splitlines() if line.count(":") >= 3)
