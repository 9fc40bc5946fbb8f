"""A release is put together: what is new comes by name, what belongs to the trunk from its parent. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecl.errors import ReleaseError
from edgecl.files import write_durably
from edgecl.manifest import read_manifest, read_verified
from edgecl.releases import slots, transitions
from edgecl.releases.document import (
    DOCUMENT_FILE,
    SIGNATURE_FILE,
    About,
    ReleaseDocument,
    described,
)
from edgecl.releases.signing import sign


def add_candidate(
    home: Path, parent_folder: Path, files: Mapping[str, bytes], about: About, key: Path | None = None
) -> ReleaseDocument:
    """Put a new release into the home, as a candidate under the next free number, whole or not at all.

    Args:
        home: which gets it.
        parent_folder: of the release whose tail was trained further; trunks and golden pictures are copied from it.
        files: by name: manifest.json, the tails' graphs, answers.npz, acceptance.json, report.md, report.png,
            training.safetensors. Who needs which follows from the names, see `part_of`.
        about: how it came about.
        key: path of a private key to sign with; unsigned without.

    Raises:
        BackboneDamaged: a file of the parent or of `files` is not what its manifest declares.
        ReleaseError: a file is missing or in the way, or the key cannot be used.
        StoreUnwritable: the disk refuses; the home is as it was.
    """
    manifest, parent = read_manifest(files), read_manifest(parent_folder)
    whole = dict(files)
    for entry in [manifest.golden, *(graphs.trunk for graphs in manifest.graphs.values())]:
        if entry not in parent.entries():
            raise ReleaseError(
                f"found {entry.file} in the new manifest otherwise than in {parent_folder}, expected the same trunk"
            )
        whole[entry.file] = read_verified(parent_folder, entry)
    for entry in manifest.entries():
        read_verified(whole, entry)
    if {DOCUMENT_FILE, SIGNATURE_FILE} & set(files):
        raise ReleaseError(
            f"found {DOCUMENT_FILE} or {SIGNATURE_FILE} among the files, expected neither: it is made here"
        )
    with slots.changing(home) as before:
        document = ReleaseDocument(
            **about.model_dump(),
            number=transitions.next_number(home, before),
            parent=_number_of(parent_folder, home),
            files=described(whole, manifest),
        )
        raw = document.to_bytes()
        whole[DOCUMENT_FILE] = raw
        if key is not None:
            whole[SIGNATURE_FILE] = sign(raw, key)
        transitions.put(home, before, document.number, whole, "made here")
    return document


def sign_release(folder: Path, key: Path) -> ReleaseDocument:
    """Sign the release in `folder`, in the place of whoever signed it before.

    Raises:
        ReleaseError: no release there, or the key cannot be used.
        StoreUnwritable: the disk refuses; the release is as it was.
    """
    document = slots.read_document(folder)
    if document is None:
        raise ReleaseError(f"found no {DOCUMENT_FILE} in {folder}, expected a release; an export is not signed")
    write_durably(folder / SIGNATURE_FILE, sign(document.to_bytes(), key))
    return document


def _number_of(folder: Path, home: Path) -> int | None:
    """Number of the release in `folder`, where it is one of this home or says so itself."""
    document = slots.read_document(folder)
    if document is not None:
        return document.number
    resolved = folder.resolve()
    inside = resolved.parent == (home / "releases").resolve() and resolved.name.isdecimal()
    return int(resolved.name) if inside else None
