"""Whether the wheel alone makes a device: on every Python of this machine, with the newest and the oldest packages.

Run it by `make check-wheel`; it needs a package index for the few packages that a device has, and installs no Python.
"""

from __future__ import annotations

import email.parser
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
WHEEL_MB_MAX = 25
BACKBONE = "edgecl/backbones/efficientnet-lite0"
TRIAL = Path(__file__).with_name("trial.py")


def main(wheel: Path) -> None:
    """Fail loudly if anything of it does not work."""
    check_contents(wheel)
    alone = may_unshare()
    print("commands run without any network" if alone else "commands run with the network: only root can take it away")
    failed = []
    for version, python in interpreters().items():
        for resolution in ("highest", "lowest-direct"):
            begun = time.monotonic()
            with tempfile.TemporaryDirectory() as name:
                said = try_out(wheel, python, resolution, Path(name), alone)
            print(f"Python {version}, {resolution}: {said}; {time.monotonic() - begun:.0f} s", flush=True)
            failed += [f"{version} {resolution}"] if said.startswith("FAILED") else []
    if failed:
        raise SystemExit(f"found that the wheel does not work with {', '.join(failed)}, expected it to work with each")
    print("the wheel is all that a device needs")


def check_contents(wheel: Path) -> None:
    """See that the backbone, its origin and the licence are in it, and that it is not too large."""
    size = wheel.stat().st_size / 1e6
    if size > WHEEL_MB_MAX:
        raise SystemExit(f"found {wheel.name} of {size:.1f} MB, expected at most {WHEEL_MB_MAX}; what has grown?")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        manifest = json.loads(file.read(f"{BACKBONE}/manifest.json"))
        entries = [manifest["golden"], manifest["answers"]]
        entries += [graphs[part] for graphs in manifest["graphs"].values() for part in ("trunk", "tail")]
        wanted = {f"{BACKBONE}/{entry['file']}" for entry in entries}
        licences = {name.rpartition("/")[2]: file.read(name).decode("utf-8") for name in names if "/licenses/" in name}
    if set(manifest["graphs"]) != {"int8", "fp32"} or not wanted <= names:
        raise SystemExit(f"found {sorted(manifest['graphs'])} without {sorted(wanted - names)}, expected int8 and fp32")
    if "Apache License" not in licences.get("LICENSE", "") or manifest["license"] != "Apache-2.0":
        raise SystemExit(
            f"found {sorted(licences)}, expected LICENSE with the text that the backbone's weights are under"
        )
    origin = manifest["source"].rstrip("/").rpartition("/")[2]
    if origin not in licences.get("NOTICE", ""):
        raise SystemExit(f"found no {origin} in NOTICE, expected where the backbone's weights are from; mend NOTICE")
    print(f"{wheel.name}: {size:.1f} MB, with the backbone in int8 and fp32, golden pictures, LICENSE and NOTICE")


def requirements(wheel: Path) -> list[str]:
    """What the wheel requires of any device, without its extras."""
    with zipfile.ZipFile(wheel) as file:
        name = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.parser.HeaderParser().parsestr(file.read(name).decode("utf-8"))
    return [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]


def interpreters() -> dict[str, Path]:
    """Version → each Python that is on the PATH, or that pyenv or uv keep beside it; none is downloaded."""
    found = {}
    for version in PYTHONS:
        for python in candidates(version):
            done = subprocess.run(
                [python, "-c", "import platform; print(platform.python_version())"], capture_output=True
            )
            if done.returncode == 0:  # pyenv's stand-ins on the PATH end otherwise, unless chosen
                found[done.stdout.decode().strip()] = python
                break
        else:
            print(f"Python {version}: left out, none is installed")
    return found


def candidates(version: str) -> Iterator[Path]:
    """Where a Python of this version may be."""
    if on_path := shutil.which(f"python{version}"):
        yield Path(on_path)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    command = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--managed-python", version]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        yield Path(done.stdout.strip())


def may_unshare() -> bool:
    """Whether commands can be given a network namespace of their own."""
    tools = shutil.which("unshare") and shutil.which("ip")
    return bool(tools) and subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0


def try_out(wheel: Path, python: Path, resolution: str, folder: Path, alone: bool) -> str:
    """Install the wheel in a new environment and run the trial; returns what came of it in a line."""
    environment = folder / "environment"
    uv = [sys.executable, "-m", "uv"]
    install = ["pip", "install", f"--python={environment}", f"--resolution={resolution}", "--only-binary=:all:"]
    # The wheel's own requirements are named beside it: for uv lowest-direct is about what is named, not about theirs.
    for command in (["venv", f"--python={python}", environment], [*install, wheel, *requirements(wheel)]):
        done = subprocess.run([*uv, "--quiet", *command], capture_output=True, text=True)
        if done.returncode != 0:
            return f"FAILED to install\n{done.stderr}"
    size = sum(path.stat().st_size for path in environment.rglob("*") if path.is_file() and not path.is_symlink())
    (person := folder / "person").mkdir()
    prefix = ["unshare", "--net"] if alone else []
    variables = os.environ | {"ALONE": str(int(alone))}
    command = [*prefix, sys.executable, TRIAL, environment, person]
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    if done.returncode != 0:
        return f"FAILED\n{done.stdout}{done.stderr}"
    return f"{size / 1e6:.0f} MB installed; {done.stdout.strip()}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
