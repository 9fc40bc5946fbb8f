"""Figures against their goals: printed, and kept with the machine and the commit that they were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured number. `goal` reads like '>= 0.755'; None for a number that is only shown."""

    name: str
    value: float
    goal: str | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached, None without one."""
        if self.goal is None:
            return None
        relation, bound = self.goal.split()
        return bool(self.value >= float(bound) if relation == ">=" else self.value <= float(bound))


def data(*parts: str) -> Path:
    """A folder below $EDGECL_DATA; ends the script, saying so, where that is not set."""
    root = os.environ.get("EDGECL_DATA")
    if root is None:
        print("left out: EDGECL_DATA is not set, expected the folder with grocery/, coil100/, ood/, imagenet200/")
        sys.exit(0)
    return Path(root, *parts)


def backbone_home() -> Path:
    """The home whose exported backbone is measured; exported now if there is none."""
    from edgecl.config import default_home
    from edgecl.errors import BackboneMissing
    from edgecl.releases import current

    home = default_home()
    try:
        current(home)
    except BackboneMissing:
        subprocess.run([sys.executable, "-m", "edgecl", "export", "--home", str(home)], check=True)
    return home


def edgecl(*arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run one command with --json, and with further variables if need be, and return its answer."""
    command = [sys.executable, "-m", "edgecl", *arguments, "--home", str(backbone_home()), "--json"]
    variables = os.environ | (environment or {})
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def report(script: str, figures: list[Figure], details: dict[str, Any] | None = None) -> None:
    """Print the figures and write results/SCRIPT.json."""
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        mark = {None: "", True: "reached", False: "MISSED"}[figure.reached]
        goal = "" if figure.goal is None else f"  goal {figure.goal}"
        print(f"{figure.name:<{width}}  {figure.value:10.4f}{goal:<18} {mark}".rstrip())
    RESULTS.mkdir(exist_ok=True)
    content = {
        "script": script,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "machine": _machine(),
        "figures": [{"name": f.name, "value": float(f.value), "goal": f.goal, "reached": f.reached} for f in figures],
        "details": details or {},
    }
    (RESULTS / f"{script}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def commit() -> str:
    """The commit that is measured, with + if the code differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=RESULTS.parent).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "../edgecl") else "")


def _machine() -> dict[str, Any]:
    import numpy
    import onnxruntime

    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ": unknown")
    return {
        "cpu": cpu.split(":", 1)[1].strip(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []
