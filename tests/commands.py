"""The command line as a user meets it: run in this process for speed, or as a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgecl.cameras.sample import photograph, pose, view
from edgecl.cli.app import main

PROGRAM = (sys.executable, "-m", "edgecl")


@dataclass(frozen=True)
class Result:
    """What a command left: exit status, stdout, stderr."""

    status: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """The one JSON object it printed."""
        (record,) = self.records
        return record

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON objects it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: object) -> Result:
    """`edgecl ARGUMENTS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Result(status, out.getvalue(), err.getvalue())


def run_process(*arguments: object, stdin: bytes = b"", wrap: tuple[str, ...] = ()) -> Result:
    """`edgecl ARGUMENTS` as a process of its own, below the command `wrap`."""
    command = [*wrap, *PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def bare_home(folder: Path, backbone: Path) -> Path:
    """A home where nothing was taught, with a backbone that is not copied."""
    folder.mkdir(mode=0o700)
    (folder / "current").symlink_to(backbone)
    return folder


def picture(name: str, seed: int = 3, at_s: float = 0.0) -> np.ndarray:
    """A photograph in a simulated hand, uint8 (480, 640, 3) BGR."""
    return view(photograph(name), pose(seed, at_s))


def save_pictures(folder: Path, name: str, count: int = 6) -> Path:
    """Views of one photograph as files in the new folder `folder`."""
    folder.mkdir()
    for number in range(count):
        assert cv2.imwrite(str(folder / f"{number}.png"), picture(name, at_s=2.0 * number))
    return folder


def save_video(path: Path, name: str, frames: int = 40, fps: float = 15.0) -> Path:
    """A video of one photograph in a simulated hand."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (640, 480))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(name, at_s=number / fps))
    writer.release()
    return path
