"""The device's path, in a process that has no PyTorch, no ONNX, no scikit and no Flower to import."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecl.releases import install_first

WITHOUT = """
import sys

class Refusing:
    ABSENT = ("torch", "torchvision", "onnx", "onnxscript", "skimage", "sklearn", "scipy", "flwr", "fastapi")

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}, as on a device", name=name)

sys.meta_path.insert(0, Refusing())
"""
COLOURS = {"leaf": (40, 160, 60), "tomato": (40, 40, 210)}


def picture(label: str, rng: np.random.Generator) -> np.ndarray:
    """A thing somewhere on a noisy table: a green leaf or a red tomato."""
    image = rng.integers(150, 200, (240, 320, 3)).astype(np.uint8)
    middle = (160 + int(rng.integers(-30, 30)), 120 + int(rng.integers(-20, 20)))
    axes = (90, 35) if label == "leaf" else (60, 60)
    cv2.ellipse(image, middle, axes, float(rng.uniform(0, 180)), 0, 360, COLOURS[label], -1)
    cv2.ellipse(image, middle, axes, 0.0, 0, 360, (30, 30, 30), 2)
    return image


def user_folder(folder: Path, backbone_folder: Path) -> Path:
    """A user's folder with a home in it and pictures to teach and to ask about."""
    install_first(folder / "home", backbone_folder)
    rng = np.random.default_rng(0)
    for use in ("taught", "asked"):
        for label in COLOURS:
            (folder / use / label).mkdir(parents=True)
            for number in range(6):
                cv2.imwrite(str(folder / use / label / f"{number}.png"), picture(label, rng))
    return folder


@pytest.fixture
def untaught(tmp_path: Path, backbone_folder: Path) -> Path:
    """A user's folder whose home knows nothing."""
    return user_folder(tmp_path, backbone_folder)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory, backbone_folder: Path) -> Path:
    """A user's folder whose home knows leaves."""
    folder = user_folder(tmp_path_factory.mktemp("device"), backbone_folder)
    edgecl(folder, "teach", "leaf", "taught/leaf")
    return folder


def on_device(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `script` there, with `folder` for all that the user owns."""
    places = {"HOME": str(folder), "EDGECL_HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    cleared = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "ORT_DISABLE_TELEMETRY")
    kept = {key: value for key, value in os.environ.items() if key not in cleared}
    (folder / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-c", WITHOUT + textwrap.dedent(script), *arguments]
    return subprocess.run(command, cwd=folder, env=kept | places, capture_output=True, text=True, check=False)


def edgecl(folder: Path, *arguments: str) -> str:
    """What the command prints there."""
    done = on_device(folder, "from edgecl.cli.app import main; sys.exit(main(sys.argv[1:]))", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_absent_really_are_absent(device):
    for module in ("torch", "onnx", "skimage", "sklearn"):
        assert "as on a device" in on_device(device, f"import {module}").stderr


def test_a_class_is_taught_recognised_and_taken_back(untaught):
    script = """
        from pathlib import Path
        from edgecl.cameras import open_camera
        from edgecl.home import Home
        from edgecl.overview import status

        home = Home.at()
        with home.learner() as learner:
            for label in ("leaf", "tomato"):
                burst = learner.burst()
                for frame in open_camera(f"taught/{label}", home.settings.camera):
                    burst.add(frame)
                learner.teach(label, burst, "folder")
            for label in ("leaf", "tomato"):
                frames = list(open_camera(f"asked/{label}", home.settings.camera))
                right = sum(learner.predict(frame).top[0][0] == label for frame in frames)
                assert right >= len(frames) - 1, (label, right)
            assert learner.undo().label == "tomato"
            assert set(learner.names.values()) == {"leaf"}
        found = status(home)
        assert (found.classes, found.backbone) == (1, "efficientnet-lite0"), found
        loaded = [name for name in Refusing.ABSENT if name in sys.modules]
        assert not loaded, loaded
    """
    done = on_device(untaught, script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("teach", "tomato", "taught/tomato"),
        ("predict", "asked/leaf"),
        ("classes", "list"),
        ("history",),
        ("status",),
        ("doctor",),
        ("review",),
        ("bench", "--classes", "2", "--frames", "3"),
    ],
    ids=" ".join,
)
def test_a_command_works(device, command):
    assert edgecl(device, *command)


def test_a_command_that_needs_the_workstation_says_what_to_install(device):
    for command in (("export",), ("head", "export", "head.onnx"), ("eval", "nc", "taught", "--strategy", "naive")):
        done = on_device(device, "from edgecl.cli.app import main; sys.exit(main(sys.argv[1:]))", *command)
        assert done.returncode == 1
        assert "pip install 'edgecl[train]'" in done.stderr


def test_nothing_is_written_outside_the_home(device):
    edgecl(device, "predict", "asked/leaf")
    own = ("home", "taught", "asked")
    outside = [path.relative_to(device) for path in device.rglob("*") if path.is_file()]
    assert [str(path) for path in outside if path.parts[0] not in own] == []
