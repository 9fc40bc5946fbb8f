"""Are pictures prepared and answered on this machine as on the one that exported the backbone?"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone, name_of
from edgecl.errors import BackboneDamaged
from edgecl.manifest import FileEntry, Files, Precision, place, read_verified

MAX_ABS = 1e-4  # fp32: the order of sums differs from processor to processor
PIXELS_MAX = 1  # grey levels: an exact half may be rounded to either side
UNFOLDED_BYTES_MAX = 2**27  # of all golden arrays: 32 pictures in either precision take a fifth of it
LENGTH = 1e-3  # by which an embedding's may be off from 1
COSINE = 0.999  # int8: so does rounding, and one code more or less is carried on


@dataclass(frozen=True)
class GoldenResult:
    """How this machine's answers compare with the expected ones.

    Attributes:
        precision: 'int8' or 'fp32'.
        pictures: how many were compared.
        pixel_max_abs: grey levels, largest difference between prepared pictures.
        max_abs: largest difference between embeddings.
        cosine_min: smallest cosine between a picture's embedding and the expected one.
        latents_equal: share of the latents' values that are the same bit by bit.
    """

    precision: Precision
    pictures: int
    pixel_max_abs: int
    max_abs: float
    cosine_min: float
    latents_equal: float


def check_golden(backbone: Backbone, folder: Files) -> GoldenResult:
    """Prepare the raw pictures of the golden file in `folder`, run all golden pictures through `backbone`, compare.

    Raises:
        BackboneDamaged: a golden file is not whole, or the answers differ by more than rounding explains.
        FrameUnusable: the network's numbers are not finite.
    """
    raws, pictures, latents, expected = _read(folder, backbone)
    prepared = np.stack([backbone.prepare(raw) for raw in raws])
    pixels = int(np.abs(prepared.astype(np.int16) - pictures[: len(raws)]).max())
    if pixels > PIXELS_MAX:
        raise BackboneDamaged(
            f"on this machine pictures are not prepared as the backbone in {name_of(folder)} expects: found pixels "
            f"that differ by {pixels} grey levels, expected at most {PIXELS_MAX}; its manifest was edited, or OpenCV "
            "answers otherwise: export the backbone again, or use another version of OpenCV"
        )
    activations, vectors = [], []
    for row in range(len(pictures)):  # one by one: ONNX Runtime keeps for good what its largest batch took
        activations.append(backbone.activations(pictures[row : row + 1]))
        vectors.append(backbone.embed_activations(activations[-1]))
    found, codes = np.concatenate(vectors), np.concatenate(activations)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    with np.errstate(all="ignore"):  # an embedding of length 0 has no cosine, which is less than any
        cosines = (found * expected).sum(axis=1) / lengths
    result = GoldenResult(
        precision=backbone.precision,
        pictures=len(pictures),
        pixel_max_abs=pixels,
        max_abs=float(np.abs(found - expected).max()),
        cosine_min=float(cosines.min()),
        latents_equal=float((codes == latents).mean()),
    )
    longest = float(np.abs(np.linalg.norm(found, axis=1) - 1.0).max())
    if not longest <= LENGTH:
        raise _differs(
            f"found embeddings whose length is {longest:.2g} off", "a length of 1", backbone.precision, folder
        )
    if backbone.precision == "fp32" and not result.max_abs <= MAX_ABS:
        raise _differs(f"found embeddings up to {result.max_abs:.2g} away", f"at most {MAX_ABS:g}", "fp32", folder)
    if not result.cosine_min >= COSINE:
        raise _differs(f"found a cosine of {result.cosine_min:.4f}", f"at least {COSINE}", backbone.precision, folder)
    return result


def _differs(found: str, expected: str, precision: Precision, folder: Files) -> BackboneDamaged:
    other = "fp32" if precision == "int8" else "int8"
    return BackboneDamaged(
        f"on this machine the {precision} graphs in {name_of(folder)} do not answer their golden pictures: {found}, "
        f'expected {expected}; use another version or provider of ONNX Runtime, or set precision = "{other}"'
    )


def _read(
    folder: Files, backbone: Backbone
) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint8], NDArray[Any], NDArray[np.float32]]:
    """What the exporting machine saw.

    Raw pictures (H, W, 3) BGR; prepared ones (N, S, S, 3), those of the raw ones first; latents (N, C, h, w);
    embeddings (N, D).
    """
    manifest = backbone.manifest
    golden, answers = arrays(folder, manifest.golden), arrays(folder, manifest.answers)
    try:
        pictures, latents = golden["pictures"], golden[f"{backbone.precision}.latents"]
        raws = [golden[f"raw.{k}"] for k in range(sum(name.startswith("raw.") for name in golden))]
        embeddings = answers[f"{backbone.precision}.embeddings"]
    except KeyError as error:
        raise BackboneDamaged(f"found no golden array {error}, expected one; export the backbone again") from error
    side, n = manifest.input.size, len(pictures)
    found = (pictures.shape, latents.shape, embeddings.shape)
    expected = ((n, side, side, 3), (n, *manifest.latent_shape), (n, manifest.dimension))
    if found != expected or n == 0 or pictures.dtype != np.uint8 or embeddings.dtype != np.float32:
        raise BackboneDamaged(
            f"found golden arrays of shapes {found}, expected {expected} with at least one picture; "
            "export the backbone again"
        )
    shapes = [raw.shape for raw in raws if raw.dtype == np.uint8]
    if not 0 < len(raws) <= n or len(shapes) < len(raws) or not all(_is_colour(shape) for shape in shapes):
        raise BackboneDamaged(
            f"found {len(raws)} raw golden pictures of shapes {[raw.shape for raw in raws]}, expected 1 to {n} of "
            "bytes (height, width, 3); export the backbone again"
        )
    return raws, pictures, latents, embeddings


def arrays(folder: Files, entry: FileEntry) -> dict[str, NDArray[Any]]:
    """What the NumPy archive `entry` holds, by name.

    Raises:
        BackboneDamaged: it is not what the manifest declares, no archive, or holds Python objects.
    """
    data = read_verified(folder, entry)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            unfolded = sum(member.file_size for member in file.zip.infolist())
            if unfolded > UNFOLDED_BYTES_MAX:
                raise ValueError(f"{unfolded} bytes, expected at most {UNFOLDED_BYTES_MAX}")
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, BadZipFile, zlib.error, MemoryError) as error:
        raise BackboneDamaged(
            f"could not read {place(folder, entry.file)}: {error}; export the backbone again"
        ) from error


def _is_colour(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] == 3 and 0 not in shape
