"""The home's releases: `releases/0001/` is the backbone exported once, `current` points to the active one."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgecl.errors import BackboneMissing
from edgecl.files import link_durably, private_folder, unwritable, write_durably
from edgecl.manifest import MANIFEST_FILE, read_manifest, read_verified

CURRENT = "current"
BUNDLED = Path(__file__).parent / "backbones" / "efficientnet-lite0"  # in wheels built by `make wheel`


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
    link = home / CURRENT
    if (link / MANIFEST_FILE).is_file():
        return link.resolve()
    if (BUNDLED / MANIFEST_FILE).is_file():
        return install_first(home, BUNDLED)
    raise BackboneMissing(
        f"found no backbone in {home}, expected one in {link}; run `edgecl export` (it needs edgecl[train]), "
        "or install a wheel that carries one"
    )


def install_first(home: Path, source: Path) -> Path:
    """Copy the backbone in `source`, verified, into the home as release 1 and make it the active one.

    Raises:
        BackboneDamaged: a file differs from its digest; the home is as it was.
        StoreUnwritable: the disk refuses; the active release is as it was.
    """
    manifest = read_manifest(source)
    contents = {entry.file: read_verified(source, entry) for entry in manifest.entries()}
    target = release_folder(home, 1)
    private_folder(target.parent)
    draft, old = (target.with_name(f".{target.name}.{role}") for role in ("draft", "old"))
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        for name, data in (contents | {MANIFEST_FILE: manifest.to_bytes()}).items():
            write_durably(draft / name, data)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.replace(old)
        draft.replace(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not target.exists():
            old.replace(target)
        raise unwritable(target, error) from error
    link_durably(home / CURRENT, f"releases/{target.name}")
    return target
