"""Between a workstation and a home: a backbone goes in as release 1, a learned head comes out as one file."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecl import releases
from edgecl.errors import BackboneError, BackboneMismatch, InputRefused, NotLearned
from edgecl.files import private_folder, write_durably
from edgecl.home import Home
from edgecl.images import decode_image
from edgecl.learner import Learner
from edgecl.manifest import BackboneManifest, Precision, read_manifest, read_verified
from edgecl.memory.store import Store
from edgecl.types import Example
from edgecl.workstation.classifier import Reading
from edgecl.workstation.export import NAMES, PARITY_FILE, export
from edgecl.workstation.head_export import HeadReport, export_head, is_head_file, verify_head

Picture = NDArray[np.uint8]
Say = Callable[[str], None]
CAMERA_SIZES = ((640, 480), (480, 640), (1920, 1080), (1280, 960))  # px, width and height


@dataclass(frozen=True)
class HeadDelivery:
    """A head's file.

    Attributes:
        file: where it lies, None if it was only tried.
        bytes: its size.
        metadata: what it says of itself.
        report: how it compares with the live path, None if nobody asked.
    """

    file: Path | None
    bytes: int
    metadata: dict[str, str]
    report: HeadReport | None


@dataclass(frozen=True)
class Order:
    """What is to be exported; for its fields see `edgecl.workstation.export.export`."""

    backbone: str
    calibration: Iterable[Picture] | None = None
    precisions: Sequence[Precision] = ("fp32", "int8")
    reading: Reading | None = None


@dataclass(frozen=True)
class Delivery:
    """An exported backbone.

    Attributes:
        folder: where it lies.
        manifest: what it is.
        parity: how it compares with the original network, by precision and figure.
        replaced: name of the backbone that was active before, or None.
    """

    folder: Path
    manifest: BackboneManifest
    parity: dict[Precision, dict[str, float]]
    replaced: str | None = None


def export_to(out: Path, order: Order, say: Say) -> Delivery:
    """Export a backbone to the new folder `out`.

    Raises:
        EdgeclError: see `edgecl.workstation.export.export`.
    """
    manifest = export(order.backbone, out, order.calibration, order.precisions, say, order.reading)
    return Delivery(out, manifest, json.loads((out / PARITY_FILE).read_text("ascii")))


def export_into(home: Home, order: Order, force: bool, say: Say) -> Delivery:
    """Export a backbone and make it release 1 and the active one of `home`.

    Args:
        home: which no other process may write to meanwhile.
        order: what to export.
        force: also where the memory holds examples of another trunk, which then cannot be used any more.
        say: told of each step.

    Raises:
        BackboneMismatch: the memory holds examples of another trunk; nothing was changed.
        StoreBusy: another process writes to the home.
        EdgeclError: see `edgecl.workstation.export.export`.
    """
    with Store(home.folder) as store:
        example = next(store.examples(), None)
        before = _active(home.folder)
        if example is not None and before is not None and not force and _is_another(before, example, order):
            raise _refusal(home, before.name, order.backbone)  # before the work is done
        drafts = private_folder(home.folder / "releases")
        for left in drafts.glob(".export-*"):  # of an export that was cut off
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=drafts, prefix=".export-") as draft:
            made = export_to(Path(draft) / "backbone", order, say)
            trunk = _trunk(made.manifest, home.settings.backbone.settled_precision)
            if example is not None and example.trunk != trunk and not force:
                raise _refusal(home, f"trunk {example.trunk[:12]}…", f"{order.backbone} (trunk {trunk[:12]}…)")
            folder = releases.install_first(home.folder, made.folder)
    return Delivery(folder, made.manifest, made.parity, before.name if before is not None else None)


def export_learned(learner: Learner, out: Path | None, verify: bool) -> HeadDelivery:
    """Write the head with its backbone to the file `out`, whole and, if asked, compared with the live path before.

    Args:
        learner: which has learned something.
        out: the file; None to try without keeping. A head's file that is there is replaced.
        verify: whether to compare, on the memory's pictures and the backbone's golden ones.

    Raises:
        NotLearned: nothing was taught.
        InputRefused: something else is at `out`.
        ExportRefused: file and live path differ by more than rounding explains; `out` is as it was.
        EdgeclError: see `edgecl.workstation.head_export.export_head`.
    """
    if learner.recogniser is None:
        raise NotLearned("found nothing that was taught, expected at least one class; use: edgecl teach LABEL SOURCE")
    if out is not None:
        _check_replaceable(out)
    head, folder = learner.recogniser.head, releases.current(learner.store.home)
    with tempfile.TemporaryDirectory(prefix="edgecl-head-") as scratch:
        draft = Path(scratch, "head.onnx")
        metadata = export_head(folder, learner.backbone.precision, head, learner.names, draft)
        report = verify_head(draft, learner.backbone, head, _pictures(learner)) if verify else None
        data = draft.read_bytes()
    if out is not None:
        write_durably(out, data)
    return HeadDelivery(out, len(data), metadata, report)


def _check_replaceable(out: Path) -> None:
    if not out.exists():
        return
    try:
        is_head = is_head_file(out)
    except (OSError, BackboneError):
        is_head = False
    if not is_head:
        raise InputRefused(f"found something else at {out}, expected a new file or a head's; choose another name")


def _pictures(learner: Learner) -> Iterator[Picture]:
    folder = releases.current(learner.store.home)
    golden = np.load(io.BytesIO(read_verified(folder, learner.backbone.manifest.golden)), allow_pickle=False)
    for number, picture in enumerate(golden["pictures"]):
        image = np.ascontiguousarray(picture[..., ::-1])
        yield image
        if number < len(CAMERA_SIZES):  # cameras give more than the network takes
            yield cv2.resize(image, CAMERA_SIZES[number], interpolation=cv2.INTER_CUBIC)  # type: ignore[misc]
    for example in learner.store.examples():
        if example.thumbnail is not None:
            yield decode_image(example.thumbnail, f"the picture of example {example.id}")


def _active(folder: Path) -> BackboneManifest | None:
    try:
        return read_manifest(folder / releases.CURRENT)
    except BackboneError:  # none, or one that exporting again is to mend
        return None


def _is_another(before: BackboneManifest, example: Example, order: Order) -> bool:
    """Whether it is known from the names alone that `order` gives another trunk than the one of `example`."""
    made = example.trunk in [graphs.trunk.sha256 for graphs in before.graphs.values()]
    return made and order.backbone in NAMES and order.backbone != before.name


def _trunk(manifest: BackboneManifest, precision: Precision) -> str:
    """Digest of the trunk in the precision that the home runs.

    Raises:
        InputRefused: it was not exported in this precision.
    """
    graphs = manifest.graphs.get(precision)
    if graphs is None:
        raise InputRefused(
            f"found {', '.join(manifest.graphs)} exported, expected {precision}, which this home runs; leave out "
            f"--precision, or set precision in edgecl.toml"
        )
    return graphs.trunk.sha256


def _refusal(home: Home, found: str, wanted: str) -> BackboneMismatch:
    return BackboneMismatch(
        f"found a memory in {home.folder} whose examples were made by {found}, expected the same trunk; {wanted} could "
        "not read them: export into another --home, or use --force, then `edgecl forget` each class and teach it anew "
        "(nothing was changed)"
    )
