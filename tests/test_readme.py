"""README does what it says: its commands are run as they stand there, its examples are put where they belong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgecl
from edgecl.releases import install_first

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
NUMBER = re.compile(r"\d[\d.,:%-]*")


def blocks(language: str) -> list[str]:
    """The contents of README's code blocks in `language`, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, list[str]]]:
    """Each command of the console blocks with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(blocks("console")).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def loosely(line: str) -> str:
    """`line` with every number alike: times and counts differ from machine to machine, words do not."""
    return " ".join(NUMBER.sub("N", line).split()).replace("classes", "class").replace("N class", "N class")


def first_missing(expected: list[str], printed: str) -> str | None:
    """The first expected line that was not printed in its turn; … stands for any lines. None if there is none."""
    lines = iter(map(loosely, printed.splitlines()))
    skipping = False
    for line in expected:
        if line == "…":
            skipping = True
        elif loosely(line) not in lines if skipping else loosely(line) != next(lines, None):
            return line
        else:
            skipping = False
    return None if skipping or next(lines, None) is None else "the end"


def package_with(folder: Path, block: str) -> str:
    """Put `block` where its first line says, in a copy of the package in `folder`. Returns the name of its file."""
    place = re.match(r"# (edgecl/\w+/(\w+)\.py)\n", block)
    assert place, "the first line says where the file belongs"
    shutil.copytree(Path(edgecl.__file__).parent, folder / "edgecl", ignore=shutil.ignore_patterns("__pycache__"))
    assert not (folder / place[1]).exists(), "the example shows something that is not there yet"
    (folder / place[1]).write_text(block, "utf-8")
    return place[2]


def block_for(part: str) -> str:
    return next(block for block in blocks("python") if block.startswith(f"# edgecl/{part}/"))


def run_in(folder: Path, script: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_has_a_transcript():
    assert len(steps()) >= 10


def test_numbers_may_differ_but_words_may_not():
    assert first_missing(["taught 'cat': 60 frames"], "taught 'cat': 59 frames\n") is None
    assert first_missing(["cat 100 %  (dog 0 %)"], "cat 97 %    (dog 3 %)\n") is None
    assert first_missing(["cat 100 %"], "dog 100 %\n") == "cat 100 %"
    assert first_missing(["…", "c"], "a\nb\nc\n") is None
    assert first_missing(["a"], "a\nb\n") == "the end"
    assert first_missing(["a", "b"], "a\n") == "b"


def test_every_command_prints_what_the_readme_says(tmp_path, backbone_folder):
    home = tmp_path / "home"
    install_first(home, backbone_folder)  # as `make demo` or the wheel would have
    places = {"EDGECL_HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command, expected in steps():
        screen = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=os.environ | places, text=True, check=False, **screen
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        missing = first_missing(expected, done.stdout)
        assert missing is None, f"$ {command}\nexpected: {missing}\nprinted:\n{done.stdout}"


def test_the_head_of_the_readme_is_found_and_learns(tmp_path):
    name = package_with(tmp_path, block_for("heads"))
    script = """
import sys
import numpy as np
from edgecl import heads
sys.path.insert(0, sys.argv[2])
from views import clusters, view_of

vectors, class_ids = clusters(5, 12)
assert sys.argv[1] in heads.names()
found = heads.fit_of(sys.argv[1])(view_of(vectors, class_ids))
print((found.class_ids[found.logits(vectors).argmax(axis=1)] == class_ids).mean(), found.name)
"""
    share, found = run_in(tmp_path, script, name, str(Path(__file__).parent)).split()
    assert (float(share), found) == (1.0, name)


def test_the_head_of_the_readme_can_be_chosen(tmp_path, backbone_folder):
    name = package_with(tmp_path, block_for("heads"))
    home = tmp_path / "home"
    install_first(home, backbone_folder)
    (home / "edgecl.toml").write_text(f'[head]\nname = "{name}"\n')
    rng = np.random.default_rng(0)
    for label, colour in (("leaf", (40, 160, 60)), ("tomato", (40, 40, 210))):
        (tmp_path / label).mkdir()
        for number in range(4):
            image = rng.integers(150, 200, (240, 320, 3)).astype(np.uint8)
            cv2.circle(image, (140 + 10 * number, 120), 70, colour, -1)
            cv2.imwrite(str(tmp_path / label / f"{number}.png"), image)
    command = "import sys; from edgecl.cli.app import main; sys.exit(main(sys.argv[1:]))"
    for label in ("leaf", "tomato"):
        run_in(tmp_path, command, "teach", label, label, EDGECL_HOME=str(home))
    said = run_in(tmp_path, command, "predict", "--json", "tomato/0.png", EDGECL_HOME=str(home))
    assert json.loads(said)["top"][0]["label"] == "tomato"


def test_the_camera_of_the_readme_is_found_and_gives_frames(tmp_path):
    name = package_with(tmp_path, block_for("cameras"))
    script = """
import itertools, sys, threading, time
import cv2, numpy
from pathlib import Path
from edgecl.cameras import is_live, open_camera, schemes
from edgecl.config import CameraSettings

def write():
    for level in itertools.count(50):
        cv2.imwrite("next.png", numpy.full((48, 64, 3), level % 256, numpy.uint8))
        Path("next.png").rename("newest.png")
        time.sleep(0.05)

threading.Thread(target=write, daemon=True).start()
assert sys.argv[1] in schemes()
address = f"{sys.argv[1]}:newest.png"
while not Path("newest.png").exists():
    time.sleep(0.01)
frames = [frame.image for frame in itertools.islice(open_camera(address, CameraSettings()), 3)]
print(is_live(address), *(image.shape for image in frames), len({int(image.mean()) for image in frames}))
"""
    assert run_in(tmp_path, script, name) == "True" + " (48, 64, 3)" * 3 + " 3\n"


def test_the_camera_of_the_readme_passes_the_checks_of_the_project(tmp_path):
    name = package_with(tmp_path, block_for("cameras"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = f"edgecl/cameras/{name}.py"
    for check in (("ruff", "check"), ("ruff", "format", "--check"), ("mypy", "--follow-imports=silent")):
        done = subprocess.run([sys.executable, "-m", *check, path], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_make_target_of_the_readme_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert (
        set(re.findall(r"make ([a-z-]+)(?=[` ]|\n| ARGS)", "\n".join(re.findall(r"`make [^`]*`", README)))) <= targets
    )


def test_the_figures_are_those_that_were_measured_last(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from support.table import BLOCK, table

    assert BLOCK.search(README)[0] == table()
