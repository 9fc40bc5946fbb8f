"""Streams for evaluation: folders of images as embeddings, in the order in which a seed teaches the classes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.errors import InputRefused
from edgecl.files import private_folder, sha256, write_durably
from edgecl.images import images_below, read_image

Progress = Callable[[int, int], None]
IMAGES_AT_A_TIME = 16


@dataclass(frozen=True)
class Split:
    """Embedded images.

    Attributes:
        vectors: float32 (N, D).
        labels: int64 (N,), indices into the stream's class names.
    """

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """One class a lesson.

    Attributes:
        names: of the classes, in the order in which they are taught.
        train: what the memory may keep: embeddings of latents as it would keep them.
        test: embeddings as the live view would make them.
    """

    names: tuple[str, ...]
    train: Split
    test: Split


def class_stream(
    folder: Path, backbone: Backbone, order_seed: int, cache: Path | None = None, progress: Progress | None = None
) -> Stream:
    """`folder`/train/CLASS/* and `folder`/test/CLASS/* with the classes in a random order.

    Raises:
        InputRefused: the folders are not laid out like this.
    """
    classes = sorted(path.name for path in (folder / "train").glob("*") if path.is_dir())
    if not classes or not (folder / "test").is_dir():
        raise InputRefused(f"found no train/CLASS/ and test/CLASS/ folders in {folder}, expected images laid out so")
    order = [classes[index] for index in np.random.default_rng(order_seed).permutation(len(classes))]
    splits = []
    for part in ("train", "test"):
        paths = images_below(folder / part)
        strange = sorted({path.parent.name for path in paths} - set(classes))
        if strange:
            raise InputRefused(f"found images of {strange[0]!r} in {folder / part}, expected classes of train/ alone")
        vectors = embed_files(paths, backbone, kept=part == "train", cache=cache, progress=progress)
        labels = np.asarray([order.index(path.parent.name) for path in paths], np.int64)
        splits.append(Split(vectors, labels))
    return Stream(tuple(order), *splits)


def embed_files(
    paths: Sequence[Path],
    backbone: Backbone,
    *,
    kept: bool,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Embeddings float32 (N, D) of image files.

    Args:
        paths: of the images.
        backbone: makes the embeddings.
        kept: whether to embed the latent as the memory keeps it, or the picture as the live view sees it.
        cache: folder for embeddings; an entry holds for these files, this preprocessing, precision and weights alone.
        progress: called with images done and images in all.
    """
    entry = None if cache is None else cache / f"{_fingerprint(paths, backbone, kept)}.npy"
    if entry is not None and entry.exists():
        vectors: NDArray[np.float32] = np.load(entry, allow_pickle=False)
        return vectors
    parts = []
    for start in range(0, len(paths), IMAGES_AT_A_TIME):
        chunk = [read_image(path) for path in paths[start : start + IMAGES_AT_A_TIME]]
        prepared = np.stack([backbone.prepare(image) for image in chunk])
        activations = backbone.activations(prepared)
        if kept:
            parts.append(backbone.embed([backbone.latent(activation[None]) for activation in activations]))
        else:
            parts.append(backbone.embed_activations(activations))
        if progress is not None:
            progress(start + len(chunk), len(paths))
    vectors = np.concatenate(parts)
    if entry is not None:
        _keep(entry, vectors)
    return vectors


def _fingerprint(paths: Sequence[Path], backbone: Backbone, kept: bool) -> str:
    """Digest of everything that the embeddings depend on."""
    files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    about = [
        backbone.manifest.input.model_dump(mode="json"),
        backbone.precision,
        backbone.trunk_digest,
        backbone.tail_digest,
        backbone.provider,
        kept,
        files,
    ]
    return sha256(json.dumps(about).encode("utf-8"))


def _keep(entry: Path, vectors: NDArray[np.float32]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, vectors, allow_pickle=False)
    private_folder(entry.parent)
    write_durably(entry, buffer.getvalue())
