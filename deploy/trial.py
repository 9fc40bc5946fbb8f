"""What a device does with edgecl: every command that is meant for it, in one home, and the daemon.

check_wheel.py runs it as `python trial.py ENVIRONMENT FOLDER`, where it can in a network namespace of its own, in which
there is no one to call. Ends with status 1 and the reason where something does not work.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FORBIDDEN = ("torch", "torchvision", "onnx", "onnxscript", "flwr")
OPTIONAL = (
    "edgecl bench --classes"  # compares with the unsplit network where onnx is there to join it, else goes without
)
DECOY = """import sys
with open({log!r}, "a") as log:
    print(__name__, "by", *sys.argv[:3], file=log)
raise ModuleNotFoundError(f"No module named {{__name__!r}}, as on a device", name=__name__)
"""
PICTURES = """
import cv2, numpy, sys
from pathlib import Path
rng = numpy.random.default_rng(0)
def thing(colour, sides):
    picture = numpy.full((240, 320, 3), 200, numpy.uint8) - rng.integers(0, 20, (240, 320, 3), numpy.uint8)
    middle = numpy.array([160, 120]) + rng.integers(-20, 20, 2)
    corners = cv2.ellipse2Poly(middle.tolist(), (70, 70), int(rng.uniform(0, 360)), 0, 360, 360 // sides)
    cv2.fillPoly(picture, [corners], colour)
    cv2.polylines(picture, [corners], True, (20, 20, 20), 6)
    return picture
kinds = {"triangle": ((40, 40, 220), 3), "disc": ((200, 120, 30), 30)}
for use in ("train", "test"):
    for label, kind in kinds.items():
        (folder := Path(use, label)).mkdir(parents=True)
        for number in range(6):
            cv2.imwrite(str(folder / f"{number}.png"), thing(*kind))
video = cv2.VideoWriter("disc.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (320, 240))
for number in range(20):
    video.write(thing(*kinds["disc"]))
video.release()
"""
LEAVES = """
import typer
from edgecl.cli.app import app
def leaves(command, path):
    inner = getattr(command, "commands", {})
    for name, one in inner.items():
        leaves(one, [*path, name])
    if not inner:
        print(" ".join(path))
leaves(typer.main.get_command(app), [])
"""

# Of the other commands each stands here once, in an order in which it has something to do.
WORKSTATION = {"demo", "export", "head export", "consolidate"}
# Not for a trial: they would change this machine. deploy/check_service.py runs them on one of its own.
SYSTEM = {"service install", "service uninstall"}
COMMANDS = (
    ("teach", "triangle", "train/triangle"),
    ("teach", "disc", "disc.avi"),
    ("status",),
    ("doctor",),
    ("history",),
    ("examples", "disc"),
    ("predict", "--review", "test/disc"),
    ("review list",),
    ("correct", "1", "disc"),
    ("undo",),
    ("classes list",),
    ("classes rename", "disc", "saucer"),
    ("classes merge", "saucer", "triangle"),
    ("backup", "memory.backup"),
    ("forget", "triangle", "--yes"),
    ("restore", "memory.backup"),
    ("bench", "--classes", "2", "--frames", "3"),
    ("eval nc", "."),
    ("eval openset", ".", "--unknown", "test"),
    ("release list",),
    ("release keygen",),
)
# What these need, no new device has: it says so, with status 1, or finds it after all.
REFUSED = (
    ("review label", "1", "disc"),
    ("review drop", "1"),
    ("release show", "1"),
    ("release verify", "2"),
    ("release install", "2"),
    ("release rollback",),
    ("release push", "2", "elsewhere"),
    ("release sign", "2"),
    ("release trust", "no-such-file"),
    ("service status",),
    ("service logs",),
)


class Device:
    """An environment, and the folder of the person who uses it."""

    def __init__(self, environment: Path, folder: Path) -> None:
        """Put decoys in the place of what must not be imported: they tell who asked for them."""
        self.bin, self.folder, self.log = environment / "bin", folder, folder / "imported.txt"
        packages = next(environment.glob("lib/python3*/site-packages"))
        for name in FORBIDDEN:
            if (packages / name).exists():
                raise SystemExit(f"found {name} among the packages, expected a device without it")
        for name in FORBIDDEN:
            (packages / name).mkdir()
            (packages / name / "__init__.py").write_text(DECOY.format(log=str(self.log)), "utf-8")
        self.run(1, "python", "-c", "import torch")
        if self.log.read_text("utf-8") != "torch by -c\n":
            raise SystemExit("found that an import of torch went unnoticed, expected to see it; mend the trial")
        self.log.unlink()

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start `program` of the environment, and let it find nothing of any other."""
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "TERM")}
        own = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder), "EDGECL_HOME": str(self.folder / "home")}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([self.bin / program, *arguments], cwd=self.folder, env=kept | own, **pipes)

    def run(self, worst: int, program: str, *arguments: str) -> str:
        """Run it to its end; returns what it printed. More than status `worst` ends the trial."""
        process = self.start(program, *arguments)
        out, err = process.communicate()
        if not 0 <= process.returncode <= worst or (program == "edgecl" and "Traceback" in err):
            command = " ".join([program, *(argument[:80] for argument in arguments)])
            raise SystemExit(f"{command}: status {process.returncode}, expected at most {worst}\n{out}\n{err}")
        return out

    def answers(self) -> None:
        """See that new pictures of what was taught are known again."""
        for label in ("triangle", "disc"):
            lines = self.run(0, "edgecl", "predict", "--json", f"test/{label}").splitlines()
            found = [record["top"][0]["label"] for record in map(json.loads, lines) if record.get("top")]
            if found.count(label) < 5:
                raise SystemExit(f"found {found} in test/{label}, expected {label} in at least 5 of 6 pictures")

    def daemon(self) -> None:
        """Teach and ask through a daemon that looks at a video, and end it."""
        process = self.start("edgecl", "run", "--camera", "disc.avi", "--port", "0")
        try:
            for _ in range(600):
                if process.poll() is not None or (self.folder / "home" / "daemon.json").exists():
                    break
                time.sleep(0.1)
            self.run(0, "edgecl", "teach", "triangle", "train/triangle")
            state = json.loads(self.run(0, "edgecl", "status", "--json"))
            if not state.get("daemon"):
                raise SystemExit(f"found {state}, expected a daemon that answers")
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
        if process.returncode != 0:
            raise SystemExit(f"edgecl run: status {process.returncode} after SIGTERM, expected 0\n{err}")


def main(environment: Path, folder: Path) -> None:
    """Run everything; print what was found."""
    if os.environ.get("ALONE") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # a new namespace has not even that
    device = Device(environment, folder)
    known = {command[0] for command in (*COMMANDS, *REFUSED)} | WORKSTATION | SYSTEM | {"run"}
    there = set(device.run(0, "python", "-c", LEAVES).splitlines())
    if known != there:
        raise SystemExit(
            f"found the commands {sorted(known ^ there)} not on both lists, expected each in trial.py; mend it"
        )
    device.run(0, "python", "-c", PICTURES)
    (folder / "image").mkdir()
    for number, (command, *arguments) in enumerate((*COMMANDS, *REFUSED)):
        device.run(int(number >= len(COMMANDS)), "edgecl", *command.split(), *arguments)
        if command == "doctor":
            device.answers()
    device.daemon()
    lines = device.log.read_text("utf-8").splitlines() if device.log.exists() else []
    if found := [line for line in lines if not line.endswith(OPTIONAL)]:
        raise SystemExit("\n".join(["found imports of what no device has, expected none:", *found]))
    never = ", ".join(name for name in FORBIDDEN if name != "onnx")
    print(f"{len(COMMANDS) + len(REFUSED) + 1} commands work; never imported: {never}, and onnx by bench alone")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
