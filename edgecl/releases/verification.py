"""May this release run here? Every check in a fixed order, before a byte reaches the active slot. Writes nothing.

1. the document: size, schema, canonical bytes; 2. its signature, by a key that is trusted here; 3. its number; 4. the
list of files; 5. sizes, digests, room on the disk; 6. what the manifest inside says; 7. the graphs and their answers.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings
from edgecl.errors import BackboneError, FrameUnusable, ReleaseRefused
from edgecl.files import sha256
from edgecl.golden import GoldenResult, check_golden
from edgecl.manifest import MANIFEST_FILE, BackboneManifest, Files, Precision, read_manifest
from edgecl.releases.bundle import Source, required
from edgecl.releases.document import (
    DOCUMENT_FILE,
    SIGNATURE_FILE,
    ReleaseDocument,
    part_of,
)
from edgecl.releases.signing import PublicKey, check_signature
from edgecl.runtime import RUNTIME_ERRORS

DISK_RESERVE = 50 * 10**6  # bytes that must be free afterwards


@dataclass(frozen=True)
class Ground:
    """The device that a release is to run on.

    Attributes:
        home: the folder, whose disk has to have room.
        active: folder of the release that runs.
        highest: the highest number that was ever active.
        trusted: who may sign.
        settings: how graphs run here.
        free: bytes free on a folder's disk.
        above: whether the number has to be above `highest`; not where a release is only looked at.
    """

    home: Path
    active: Path
    highest: int
    trusted: Iterable[PublicKey]
    settings: BackboneSettings
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    above: bool = True


@dataclass(frozen=True)
class Verified:
    """A release that may run here.

    Attributes:
        document: what it says of itself.
        files: all that belongs into its folder here, by name, document and signature among them.
        signer: whose signature it bears, None without one.
        golden: how this machine answers its golden pictures.
    """

    document: ReleaseDocument
    files: Mapping[str, bytes]
    signer: PublicKey | None
    golden: GoldenResult


def verify(source: Source, ground: Ground, unsigned: bool = False) -> Verified:
    """Check the release in `source` from end to end.

    Args:
        source: a folder or a single file.
        ground: the device.
        unsigned: whether no signature will do; a wrong one never does.

    Raises:
        ReleaseRefused: with the reason. Nothing was written.
    """
    raw, signature, document, signer = check_document(source, ground, unsigned)
    present = _check_list(source, document, ground.settings.settled_precision)
    _check_room(document, present, ground)
    files = _check_files(source, document, present, ground)
    files[DOCUMENT_FILE] = raw
    if signature is not None:
        files[SIGNATURE_FILE] = signature
    manifest = _check_manifest(files, document, ground)
    return Verified(document, files, signer, _check_graphs(files, manifest, ground.settings))


def check_document(
    source: Source, ground: Ground, unsigned: bool
) -> tuple[bytes, bytes | None, ReleaseDocument, PublicKey | None]:
    """Steps 1 to 3: (the document's bytes, the signature's, the document, who signed it).

    Raises:
        ReleaseRefused: see `verify`.
    """
    raw = required(source, DOCUMENT_FILE)
    document = ReleaseDocument.from_bytes(raw)
    signature, signer = None, None
    if SIGNATURE_FILE in source.sizes:
        signature = required(source, SIGNATURE_FILE)
        signer = check_signature(raw, signature, ground.trusted)
    elif not unsigned:
        raise ReleaseRefused(
            f"found no signature in {source.title}, expected one by a trusted key; sign it with `edgecl release sign`, "
            "or allow it on this machine alone with --unsigned"
        )
    if ground.above and document.number <= ground.highest:
        raise ReleaseRefused(
            f"found release {document.number}, expected a number above {ground.highest}, the highest that ever ran "
            "here; an older release comes back by `edgecl release rollback` alone"
        )
    return raw, signature, document, signer


def _check_list(source: Source, document: ReleaseDocument, precision: Precision) -> set[str]:
    present = set(source.sizes) - {DOCUMENT_FILE, SIGNATURE_FILE}
    extra, missing = present - set(document.files), document.names(("device", precision)) - present
    if extra:
        raise ReleaseRefused(
            f"found {min(extra)!r:.80} in {source.title}, which its document does not name; get the release again"
        )
    if missing:
        raise ReleaseRefused(
            f"found no {min(missing)} in {source.title}, which its document names for every {precision} device; "
            "get the release again, packed for this precision"
        )
    for name in sorted(present):
        if source.sizes[name] != document.files[name].bytes:
            raise ReleaseRefused(
                f"found {name} of {source.sizes[name]} bytes, its document says {document.files[name].bytes}; "
                "get the release again"
            )
    return present


def _check_room(document: ReleaseDocument, present: set[str], ground: Ground) -> None:
    needed = sum(document.files[name].bytes for name in present | document.needed(ground.settings.settled_precision))
    free = ground.free(ground.home if ground.home.exists() else ground.active)
    if needed + DISK_RESERVE > free:
        raise ReleaseRefused(
            f"found {free / 1e6:.0f} MB free in {ground.home}, expected {(needed + DISK_RESERVE) / 1e6:.0f} MB: the "
            f"release takes {needed / 1e6:.0f} and {DISK_RESERVE / 1e6:.0f} stay in reserve; free some space"
        )


def _check_files(source: Source, document: ReleaseDocument, present: set[str], ground: Ground) -> dict[str, bytes]:
    """Every file that is to lie here, digests compared; what is left out for devices comes from the active release."""
    files = {}
    for name in sorted(present):
        data = source.read(name)
        if sha256(data) != document.files[name].sha256:
            raise ReleaseRefused(
                f"found {name} with sha256 {sha256(data)[:12]}…, its document says "
                f"{document.files[name].sha256[:12]}…; it was edited or damaged, get the release again"
            )
        files[name] = data
    for name in sorted(document.names(("trunk",)) - present):
        known = ground.active / name
        data = known.read_bytes() if known.is_file() else b""
        if sha256(data) == document.files[name].sha256:
            files[name] = data
    return files


def _check_manifest(files: Mapping[str, bytes], document: ReleaseDocument, ground: Ground) -> BackboneManifest:
    """Whether the backbone inside is a new tail for the trunk that runs here.

    Another trunk is named as such even where its file did not come along.
    """
    precision = ground.settings.settled_precision
    try:
        manifest, active = read_manifest(files), read_manifest(ground.active)
    except BackboneError as error:
        raise ReleaseRefused(f"the release is refused: {error}") from error
    graphs, mine = manifest.graphs.get(precision), active.graphs.get(precision)
    if graphs is None or mine is None:
        raise ReleaseRefused(
            f"found a release with {', '.join(manifest.graphs)}, expected {precision}, in which this home runs"
        )
    if graphs.trunk.sha256 != mine.trunk.sha256:
        raise ReleaseRefused(
            f"found a release for trunk {graphs.trunk.sha256[:12]}…, expected {mine.trunk.sha256[:12]}…, which runs "
            "here and made this memory; another trunk comes by `edgecl export` alone"
        )
    code = (graphs.latent, manifest.latent_shape, manifest.input)
    if code != (mine.latent, active.latent_shape, active.input):
        raise ReleaseRefused(
            f"found latents of shape {list(manifest.latent_shape)} in the code {graphs.latent}, expected "
            f"{list(active.latent_shape)} in {mine.latent}, as the trunk here makes them of its pictures"
        )
    for entry in manifest.entries():
        listed = document.files.get(entry.file)
        if listed is None or (listed.bytes, listed.sha256) != (entry.bytes, entry.sha256):
            raise ReleaseRefused(
                f"found {entry.file} in {MANIFEST_FILE} otherwise than in {DOCUMENT_FILE}; get it again"
            )
    for name, listed in document.files.items():
        if listed.part != part_of(name, manifest):
            raise ReleaseRefused(
                f"found {name} marked as {listed.part}, expected {part_of(name, manifest)}; get the release again"
            )
    for entry in (graphs.trunk, graphs.tail, manifest.golden, manifest.answers):
        if entry.file not in files:
            raise ReleaseRefused(
                f"found no {entry.file} in the release, and none of its digest in {ground.active}; get the whole "
                "release, packed with --whole"
            )
    return manifest


def _check_graphs(files: Files, manifest: BackboneManifest, settings: BackboneSettings) -> GoldenResult:
    try:
        return check_golden(Backbone(files, settings), files)
    except (BackboneError, FrameUnusable) as error:
        raise ReleaseRefused(f"the release is refused: {error}") from error
    except RUNTIME_ERRORS as error:
        raise ReleaseRefused(f"the release is refused: ONNX Runtime could not run its graphs: {error}") from error
