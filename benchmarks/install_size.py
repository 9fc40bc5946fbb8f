"""How much disk a device needs: a fresh environment with the wheel that carries the backbone, and nothing else.

As the offline bundle's installer makes it, without pip, and with pip, as `python -m venv` makes it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from support.record import Figure, report

TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")


def main() -> None:
    """Build, install, add up, report."""
    project = Path(__file__).parent.parent
    subprocess.run(["make", "-s", "wheel"], cwd=project, check=True)
    (wheel,) = (project / "dist").glob("*.whl")
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "venv", scratch], check=True)
        python = Path(scratch, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-cache-dir", wheel], check=True)
        packages = next(Path(scratch, "lib").glob("python3*/site-packages"))
        sizes = {path: path.stat().st_size for path in packages.rglob("*") if path.is_file() and not path.is_symlink()}
        tools = sum(size for path, size in sizes.items() if path.relative_to(packages).parts[0].startswith(TOOLS))
        size = sum(sizes.values()) - tools
        heavy = [name for name in ("torch", "onnx", "onnxscript", "flwr") if (packages / name).exists()]
    report(
        "install_size",
        [
            Figure("the wheel with the backbone in it, MB", wheel.stat().st_size / 1e6, "<= 25"),
            Figure("installed size of the base environment, MB", size / 1e6, "<= 450"),
            Figure("the same with the pip that venv adds, MB", (size + tools) / 1e6, "<= 450"),
            Figure("of torch, onnx, onnxscript and flwr among it", float(len(heavy)), "<= 0"),
        ],
    )


if __name__ == "__main__":
    main()
