"""The app for Home Assistant: dist/edgecl-homeassistant-VERSION.tar, to be unpacked in its folder `addons`.

Run it by `make addon`. In it is the folder `edgecl`, with the wheel beside the Dockerfile that copies it, from which
Home Assistant builds the image by itself.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from bundle import pack

APP = Path(__file__).resolve().parent / "homeassistant" / "edgecl"


def main() -> None:
    """Make the archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="of edgecl, from `make wheel`")
    given = parser.parse_args()
    version = given.wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory() as name:
        # A wheel that lies in the folder already would be another than the one that is meant.
        folder = shutil.copytree(APP, Path(name, APP.name), ignore=shutil.ignore_patterns("*.whl", "__pycache__"))
        shutil.copy(given.wheel, folder)
        archive = pack(folder, given.wheel.with_name(f"edgecl-homeassistant-{version}.tar"))
    print(f"{archive}: {archive.stat().st_size / 1e6:.0f} MB, for Home Assistant's folder addons")


if __name__ == "__main__":
    main()
