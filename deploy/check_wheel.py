"""Does the wheel alone make a device? Installs it without extras in a new environment, teaches and predicts there.

Run it with the wheel from `make wheel`; it needs a package index for the few packages that a device has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

PICTURES = """
import cv2, numpy, sys
rng = numpy.random.default_rng(int(sys.argv[2]))
def thing(colour, sides):
    picture = numpy.full((240, 320, 3), 200, numpy.uint8) - rng.integers(0, 20, (240, 320, 3), numpy.uint8)
    middle = numpy.array([160, 120]) + rng.integers(-20, 20, 2)
    turn = rng.uniform(0, 360)
    corners = cv2.ellipse2Poly(middle.tolist(), (70, 70), int(turn), 0, 360, 360 // sides)
    cv2.fillPoly(picture, [corners], colour)
    cv2.polylines(picture, [corners], True, (20, 20, 20), 6)
    return picture
folder = sys.argv[1]
for number in range(6):
    cv2.imwrite(f"{folder}/triangle-{number}.png", thing((40, 40, 220), 3))
    cv2.imwrite(f"{folder}/disc-{number}.png", thing((200, 120, 30), 30))
video = cv2.VideoWriter(f"{folder}/disc.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (320, 240))
for number in range(20):
    video.write(thing((200, 120, 30), 30))
video.release()
"""
ABSENT = ("torch", "onnx", "onnxscript", "skimage", "sklearn", "fastapi", "flwr")


def main(wheel: Path) -> None:
    """Fail loudly if anything of it does not work."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.monotonic()
        venv.create(folder / "venv", with_pip=True)
        run(folder, "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel.resolve()))
        print(f"installed in {time.monotonic() - begun:.0f} s, {size_mb(folder / 'venv'):.0f} MB with pip")
        for module in ABSENT:
            check = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is not None)"
            run(folder, "python", "-c", check)
        taught, asked = folder / "taught", folder / "asked"
        for number, place in enumerate((taught, asked)):
            place.mkdir()
            run(folder, "python", "-c", PICTURES, str(place), str(number))
        (triangles := folder / "triangles").mkdir()
        for picture in taught.glob("triangle-*.png"):
            picture.rename(triangles / picture.name)
        run(folder, "edgecl", "teach", "triangle", str(triangles))
        run(folder, "edgecl", "teach", "disc", str(taught / "disc.avi"))
        for label in ("triangle", "disc"):
            lines = run(folder, "edgecl", "predict", "--json", *map(str, sorted(asked.glob(f"{label}-*.png"))))
            best = [json.loads(line)["top"][0]["label"] for line in lines.splitlines()]
            right = best.count(label)
            print(f"{label}: {right} of {len(best)} new pictures recognised")
            if right < len(best) - 1:
                raise SystemExit(f"found {best}, expected {label} in at least {len(best) - 1}")
        print(run(folder, "edgecl", "doctor"))
        print(f"the wheel is all that a device needs; {time.monotonic() - begun:.0f} s")


def run(folder: Path, program: str, *arguments: str) -> str:
    """Run `program` of the new environment, and nothing of any other."""
    bin_folder = folder / "venv" / "bin"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment |= {"PATH": f"{bin_folder}:/usr/bin:/bin", "EDGECL_HOME": str(folder / "home")}
    command = [str(bin_folder / program), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603, our own
    if done.returncode != 0:
        shown = [program, *(argument[:80] for argument in arguments)]
        raise SystemExit(f"{' '.join(shown)}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def size_mb(folder: Path) -> float:
    """Of all files in `folder`, as they lie on disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")) / 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]))
