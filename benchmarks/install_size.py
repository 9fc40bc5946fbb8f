"""How much disk a device needs: a fresh environment with the base install and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from support.record import Figure, report


def main() -> None:
    """Install, add up, report."""
    project = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "venv", scratch], check=True)
        python = Path(scratch, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-cache-dir", project], check=True)
        packages = next(Path(scratch, "lib").glob("python3*/site-packages"))
        size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file() and not path.is_symlink())
        torch = (packages / "torch").exists()
    report(
        "install_size",
        [
            Figure("installed size of the base environment, MB", size / 1e6, "<= 450"),
            Figure("PyTorch among it", float(torch), "<= 0"),
        ],
    )


if __name__ == "__main__":
    main()
