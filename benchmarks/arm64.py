"""Whether arm64 answers as this machine does: the same pictures, taught and asked, under the real arm64 packages.

Needs $EDGECL_ARM64_ROOT, a Debian root for arm64 in which a bundle was installed, as `deploy/arm64_root.sh` makes it;
and to be root, for chroot. The processor is emulated: as that of a Raspberry Pi 4, so its numbers are meant and its
time is not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from support.record import Figure, report

from edgecl.cameras.sample import PHOTOGRAPHS, photograph, pose, view
from edgecl.releases import install_first

CLASSES, TAUGHT, ASKED = PHOTOGRAPHS[:10], 10, 10
STEP_S = 0.7  # of the simulated hand, between two pictures
PROCESSOR = "cortex-a72"  # of a Raspberry Pi 4. Under `max` QEMU 7.2 counts wrongly with vectors of scalable length
PROBE = """
import platform, sys
from pathlib import Path
import cv2, numpy, onnxruntime
from edgecl.cameras import open_camera
from edgecl.home import Home

place, pictures, out = Home.at(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
with place.learner(learns_at_once=False) as learner:
    for folder in sorted((pictures / "taught").iterdir()):
        burst = learner.burst()
        for frame in open_camera(str(folder), place.settings.camera):
            burst.add(frame)
        learner.commit(folder.name, burst, "folder")
with place.learner() as learner:
    labels, probabilities, vectors = [], [], []
    for frame in open_camera(str(pictures / "asked"), place.settings.camera):
        sight = learner.backbone.see(frame.image)
        prediction = learner.answer(frame, sight)
        labels.append(prediction.label or "unknown")
        probabilities.append(prediction.probability)
        vectors.append(sight.embedding.vector)
versions = [platform.machine(), numpy.__version__, onnxruntime.__version__, cv2.__version__]
numpy.savez(out, labels=labels, probabilities=probabilities, vectors=vectors, versions=versions)
"""


def draw(folder: Path) -> list[str]:
    """Write the pictures, without loss; returns what is in those that are asked about, in their order."""
    for name in CLASSES:
        for number in range(TAUGHT + ASKED):
            use = Path("taught", name) if number < TAUGHT else Path("asked")
            (folder / use).mkdir(parents=True, exist_ok=True)
            # Half of the views are of another hand: what is asked about was not seen a moment before.
            picture = view(photograph(name), pose(int(number >= TAUGHT), STEP_S * number))
            cv2.imwrite(str(folder / use / f"{name}-{number:02}.png"), picture)
    return [path.name.split("-")[0] for path in sorted((folder / "asked").iterdir())]


def probed(command: list[str], out: Path, environment: dict[str, str]) -> dict[str, NDArray[np.generic]]:
    """Let a Python teach and ask; returns what it answered."""
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=environment)
    with np.load(out, allow_pickle=False) as file:
        return dict(file)


def main() -> None:
    """Teach and ask on both, compare, report."""
    if "EDGECL_ARM64_ROOT" not in os.environ:
        print("left out: EDGECL_ARM64_ROOT is not set, expected a root made by: deploy/arm64_root.sh BUNDLE.tar ROOT")
        return
    root = Path(os.environ["EDGECL_ARM64_ROOT"])
    slot = root / "opt" / (root / "opt" / "edgecl").readlink()
    with tempfile.TemporaryDirectory(dir=root / "tmp") as name, tempfile.TemporaryDirectory() as here:
        there = Path(name)
        expected = np.array(draw(there))
        inside = Path("/", there.relative_to(root))
        install_first(Path(here), next(slot.glob("lib/python3*/site-packages/edgecl/backbones/efficientnet-lite0")))
        arguments = [here, str(there), f"{here}/answers.npz"]
        ours = probed([sys.executable, "-c", PROBE, *arguments], Path(here, "answers.npz"), dict(os.environ))
        arguments = [f"{inside}/home", str(inside), f"{inside}/answers.npz"]
        command = [shutil.which("chroot") or "chroot", str(root), "/opt/edgecl/bin/python", "-c", PROBE, *arguments]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(inside), "QEMU_CPU": PROCESSOR}
        theirs = probed(command, there / "answers.npz", environment)
    cosines = (ours["vectors"] * theirs["vectors"]).sum(axis=1)
    off = np.abs(ours["probabilities"] - theirs["probabilities"])
    names = ("machine", "numpy", "onnxruntime", "opencv")
    report(
        "arm64",
        [
            Figure(
                "pictures of 100 with the same label as on x86",
                float((ours["labels"] == theirs["labels"]).sum()),
                ">= 100",
            ),
            Figure("least cosine between both embeddings of a picture", float(cosines.min()), ">= 0.999"),
            Figure("largest difference of a probability", float(off.max())),
            Figure("pictures of 100 with the right label", float((theirs["labels"] == expected).sum())),
        ],
        {
            who: dict(zip(names, map(str, found["versions"]), strict=True))
            for who, found in (("here", ours), ("arm64", theirs))
        }
        | {"emulated": PROCESSOR},
    )


if __name__ == "__main__":
    main()
