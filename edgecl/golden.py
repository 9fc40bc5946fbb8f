"""Does the runtime on this machine answer as the one that exported the backbone did?"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import BATCH, Backbone
from edgecl.errors import BackboneDamaged
from edgecl.manifest import Precision, read_verified

MAX_ABS = 1e-4  # fp32: the order of sums differs from processor to processor
COSINE = 0.999  # int8: so does rounding, and one code more or less is carried on


@dataclass(frozen=True)
class GoldenResult:
    """How this machine's answers compare with the expected ones.

    Attributes:
        precision: 'int8' or 'fp32'.
        pictures: how many were compared.
        max_abs: largest difference between embeddings.
        cosine_min: smallest cosine between a picture's embedding and the expected one.
        latents_equal: share of the latents' values that are the same bit by bit.
    """

    precision: Precision
    pictures: int
    max_abs: float
    cosine_min: float
    latents_equal: float


def check_golden(backbone: Backbone, folder: Path) -> GoldenResult:
    """Run the golden pictures in `folder` through `backbone`.

    Raises:
        BackboneDamaged: the golden file is not whole, or the answers differ by more than rounding explains.
    """
    values = _read(folder, backbone)
    pictures, latents, expected = values
    activations, vectors = [], []
    for start in range(0, len(pictures), BATCH):
        activations.append(backbone.activations(pictures[start : start + BATCH]))
        vectors.append(backbone.embed_activations(activations[-1]))
    found, codes = np.concatenate(vectors), np.concatenate(activations)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    result = GoldenResult(
        precision=backbone.precision,
        pictures=len(pictures),
        max_abs=float(np.abs(found - expected).max()),
        cosine_min=float(((found * expected).sum(axis=1) / lengths).min()),
        latents_equal=float((codes == latents).mean()),
    )
    if backbone.precision == "fp32" and not result.max_abs <= MAX_ABS:
        raise _differs(f"found embeddings up to {result.max_abs:.2g} away", f"at most {MAX_ABS:g}", "fp32", folder)
    if not result.cosine_min >= COSINE:
        raise _differs(f"found a cosine of {result.cosine_min:.4f}", f"at least {COSINE}", backbone.precision, folder)
    return result


def _differs(found: str, expected: str, precision: Precision, folder: Path) -> BackboneDamaged:
    other = "fp32" if precision == "int8" else "int8"
    return BackboneDamaged(
        f"on this machine the {precision} graphs in {folder} do not answer their golden pictures: {found}, expected "
        f'{expected}; use another version or provider of ONNX Runtime, or set precision = "{other}"'
    )


def _read(folder: Path, backbone: Backbone) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[np.float32]]:
    """Pictures (N, S, S, 3), latents (N, C, h, w) and embeddings (N, D) as the exporting machine saw them."""
    manifest = backbone.manifest
    data = read_verified(folder, manifest.golden)
    keys = ("pictures", f"{backbone.precision}.latents", f"{backbone.precision}.embeddings")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            pictures, latents, embeddings = (file[key] for key in keys)
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise BackboneDamaged(
            f"could not read {folder / manifest.golden.file}: {error}; export the backbone again"
        ) from error
    side, n = manifest.input.size, len(pictures)
    found = (pictures.shape, latents.shape, embeddings.shape)
    expected = ((n, side, side, 3), (n, *manifest.latent_shape), (n, manifest.dimension))
    if found != expected or n == 0 or pictures.dtype != np.uint8 or embeddings.dtype != np.float32:
        raise BackboneDamaged(
            f"found golden arrays of shapes {found}, expected {expected} with at least one picture; "
            "export the backbone again"
        )
    return pictures, latents, embeddings
