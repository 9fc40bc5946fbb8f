"""The home's releases: `releases/NNNN/` is the backbone that was exported, `current` points to the active one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from edgecl.errors import BackboneMissing
from edgecl.files import exclusive, folder_durably, link_durably, private_folder
from edgecl.manifest import MANIFEST_FILE, read_manifest, read_verified

CURRENT = "current"
BUNDLED = Path(__file__).parent / "backbones" / "efficientnet-lite0"  # in wheels built by `make wheel`
LOCK = ".lock"  # held while a release is being installed


def release_folder(home: Path, number: int) -> Path:
    """Where release `number` lies."""
    return home / "releases" / f"{number:04d}"


def current(home: Path) -> Path:
    """The folder of the active release; the backbone that came with the wheel is installed if there is none yet.

    Raises:
        BackboneMissing: nothing was exported and nothing came with the wheel.
        BackboneDamaged: what came with the wheel is not what its manifest says.
        StoreUnwritable: it cannot be installed in this home.
    """
    active = _active(home)
    if active is not None:
        return active
    if (BUNDLED / MANIFEST_FILE).is_file():
        files = _verified(BUNDLED)
        with exclusive(private_folder(home / "releases") / LOCK, wait=True):  # of several first starts one installs
            return _active(home) or _install(home, files)
    raise BackboneMissing(
        f"found no backbone in {home}, expected one in {home / CURRENT}; run `edgecl export` (it needs "
        "edgecl[train]), or install a wheel that carries one"
    )


def install_first(home: Path, source: Path) -> Path:
    """Copy the backbone in `source`, verified, into the home and make it the active one; what was there is deleted.

    A new home gets release 1. Later ones get the next number: a folder cannot be exchanged for another in one step, a
    link can. Whatever interrupts this, the old release or the new one is active, and whole.

    Raises:
        BackboneDamaged: a file differs from its digest; the home is as it was.
        StoreUnwritable: the disk refuses; the active release is as it was.
    """
    files = _verified(source)
    with exclusive(private_folder(home / "releases") / LOCK, wait=True):
        return _install(home, files)


def _active(home: Path) -> Path | None:
    link = home / CURRENT
    return link.resolve() if (link / MANIFEST_FILE).is_file() else None


def _verified(source: Path) -> dict[str, bytes]:
    manifest = read_manifest(source)
    files = {entry.file: read_verified(source, entry) for entry in manifest.entries()}
    return files | {MANIFEST_FILE: manifest.to_bytes()}


def _install(home: Path, files: Mapping[str, bytes]) -> Path:
    """Whoever calls it holds the lock."""
    # The active one, and what installations that were cut off have left: not yet linked, or not wholly deleted.
    before = [path for path in (home / "releases").iterdir() if path.name.isdecimal()]
    target = release_folder(home, 1 + max((int(path.name) for path in before), default=0))
    folder_durably(target, files)
    link_durably(home / CURRENT, f"releases/{target.name}")
    for path in before:
        shutil.rmtree(path, ignore_errors=True)
    return target
