"""A network → the folder that a device runs: trunk and tail in each precision, manifest, golden vectors, parity."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgecl.backbone import preprocess
from edgecl.cameras.sample import calibration_frames
from edgecl.errors import InputRefused
from edgecl.files import folder_durably, private_folder, sha256
from edgecl.images import images_below, read_image
from edgecl.manifest import MANIFEST_FILE, BackboneManifest, FileEntry, Graphs, LatentCode, Precision
from edgecl.runtime import run
from edgecl.workstation import graphs, parity, quantize
from edgecl.workstation.classifier import Reading, classifier_origin
from edgecl.workstation.origin import Origin, efficientnet_origin

NAMES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
CALIBRATION = 120  # pictures
CALIBRATION_MIN = 16  # fewer do not show what a network's activations can be
GOLDEN_FILE, ANSWERS_FILE, PARITY_FILE = "golden.npz", "answers.npz", "parity.json"
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """Trunk and tail in one precision; `code` is None where the latent is float32."""

    trunk: ModelProto
    tail: ModelProto
    code: LatentCode | None = None


def export(
    backbone: str,
    out: Path,
    calibration: Iterable[Picture] | None = None,
    precisions: Sequence[Precision] = ("fp32", "int8"),
    progress: Callable[[str], None] | None = None,
    reading: Reading | None = None,
) -> BackboneManifest:
    """Export `backbone` to the new folder `out`; the same call gives the same files, but for measured times.

    Args:
        backbone: one of `NAMES`, or `onnx:FILE` for any image classifier, frozen, of which only a head will learn.
        out: must not exist, or be empty.
        calibration: pictures uint8 (H, W, 3) BGR for int8; without them sample photographs in a simulated hand.
        precisions: which to write.
        progress: told of each step, in words.
        reading: `onnx:` alone: how the classifier is to be read.

    Raises:
        InputRefused: no such backbone, no such precision, `out` is taken, or too few pictures.
        ExportRefused: the graphs do not compute what the network computes.
        BackboneMissing: the file of `onnx:` is not there.
        BackboneDamaged: it is no ONNX model, or keeps weights elsewhere.
        ExtraMissing: PyTorch, the weights or the photographs are not installed.
        StoreUnwritable: the disk refused; `out` is as it was.
    """
    say = progress or (lambda text: None)
    out = out.resolve()
    _check_arguments(out, precisions)
    say(f"reading {backbone}")
    origin = _origin(backbone, reading)
    say("preparing pictures")
    views = parity.Views.prepared(origin.input)
    parts: dict[Precision, Part] = {"fp32": Part(origin.trunk, origin.tail)}
    if "int8" in precisions:
        say("quantising")
        parts["int8"] = quantised(origin, _prepared(calibration, origin))
    say("comparing with the original network")
    found = {precision: parity.answers(part.trunk, part.tail, views) for precision, part in parts.items()}
    report = _report(origin, views, found)
    for precision in precisions:
        report[precision] |= parity.latency(parts[precision].trunk, parts[precision].tail, views.golden[:1])
    spread = parity.spread(found["fp32"].things, views.thing)
    kept = {precision: parts[precision] for precision in precisions}
    files, manifest = _files(origin, kept, golden_files(views, found, precisions), spread)
    files[PARITY_FILE] = (json.dumps({key: report[key] for key in precisions}, indent=1) + "\n").encode("ascii")
    say(f"writing {out}")
    private_folder(out.parent)
    folder_durably(out, files)
    return manifest


def pictures_in(folder: Path) -> Iterator[Picture]:
    """All images in `folder` and below it, in the order of their paths, to calibrate on.

    They are read one by one, where ImageRefused is raised if one cannot be read.

    Raises:
        InputRefused: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputRefused(f"found no folder {folder}, expected one with pictures to calibrate on; check the path")
    return map(read_image, images_below(folder))


def quantised(origin: Origin, images: Picture) -> Part:
    """The int8 part of `origin`, calibrated on prepared pictures (N, S, S, 3)."""
    trunk, code = quantize.quantise_trunk(origin.trunk, images)
    tail = quantize.quantise_tail(origin.tail, run(graphs.session(trunk), images), code)
    trunk, tail = (graphs.canonical(graph, origin.source, origin.license) for graph in (trunk, tail))
    return Part(trunk, tail, code)


def _check_arguments(out: Path, precisions: Sequence[Precision]) -> None:
    if not precisions or not set(precisions) <= {"fp32", "int8"}:
        raise InputRefused(f"found precisions {', '.join(precisions) or 'none'}, expected fp32, int8 or both")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputRefused(f"found something at {out}, expected a new or empty folder; remove it or choose another")
    if out == Path.cwd():  # a new folder would take its place, and whoever is in it would see nothing
        raise InputRefused(f"found {out}, the folder that this runs in, expected another; name a new one in it")


def _origin(backbone: str, reading: Reading | None) -> Origin:
    if backbone.startswith("onnx:"):
        return classifier_origin(Path(backbone.removeprefix("onnx:")), reading)
    if backbone not in NAMES:
        raise InputRefused(f"found backbone {backbone!r}, expected {', '.join(NAMES)} or onnx:FILE")
    if reading is not None:
        raise InputRefused(
            f"found features, mean or std with {backbone}, expected them with onnx:FILE alone; leave them out"
        )
    return efficientnet_origin(backbone)


def _prepared(calibration: Iterable[Picture] | None, origin: Origin) -> Picture:
    images = calibration_frames(CALIBRATION) if calibration is None else calibration
    prepared = [preprocess(image, origin.input) for image in images]
    if len(prepared) < CALIBRATION_MIN:
        raise InputRefused(
            f"found {len(prepared)} pictures to calibrate int8 on, expected at least {CALIBRATION_MIN}; add some"
        )
    return np.stack(prepared)


def _report(
    origin: Origin, views: parity.Views, found: Mapping[Precision, parity.Answers]
) -> dict[Precision, dict[str, float]]:
    original = parity.Original.of(origin, views)
    report = {}
    for precision, given in found.items():
        report[precision] = parity.compare(original, given, views)
        parity.check(precision, report[precision])
    return report


def golden_files(
    views: parity.Views, found: Mapping[Precision, parity.Answers], precisions: Sequence[Precision]
) -> tuple[bytes, bytes]:
    """The golden pictures with what the trunk makes of them, and what the tail makes of that, as files."""
    seen: dict[str, NDArray[Any]] = {f"raw.{k}": raw for k, raw in enumerate(views.raws)}
    seen["pictures"] = views.golden
    seen |= {f"{precision}.latents": found[precision].latents for precision in precisions}
    return archive(seen), archive({f"{precision}.embeddings": found[precision].golden for precision in precisions})


def archive(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """`arrays` as an .npz file; unlike NumPy's own it holds no time, so that equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # of 1980
            file.writestr(info, entry.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _files(
    origin: Origin, parts: Mapping[Precision, Part], golden: tuple[bytes, bytes], spread: float
) -> tuple[dict[str, bytes], BackboneManifest]:
    """All files by name, the manifest's own among them, and the manifest."""
    files: dict[str, bytes] = {}

    def entry(name: str, data: bytes) -> FileEntry:
        files[name] = data
        return FileEntry(file=name, bytes=len(data), sha256=sha256(data))

    manifest = BackboneManifest(
        name=origin.name,
        input=origin.input,
        cut=origin.cut,
        latent_shape=origin.latent_shape,
        dimension=origin.dimension,
        spread=spread,
        transform=origin.transform,
        opset=graphs.opset(origin.trunk),
        graphs={
            precision: Graphs(
                trunk=entry(f"trunk.{precision}.onnx", graphs.write_graph(part.trunk)),
                tail=entry(f"tail.{precision}.onnx", graphs.write_graph(part.tail)),
                latent=part.code,
            )
            for precision, part in parts.items()
        },
        golden=entry(GOLDEN_FILE, golden[0]),
        answers=entry(ANSWERS_FILE, golden[1]),
        license=origin.license,
        source=origin.source,
    )
    files[MANIFEST_FILE] = manifest.to_bytes()
    return files, manifest
