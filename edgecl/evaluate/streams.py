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
    folder: Path,
    backbone: Backbone,
    order_seed: int,
    cache: Path | None = None,
    progress: Progress | None = None,
    classes_min: int = 1,
) -> Stream:
    """`folder`/train/CLASS/* and `folder`/test/CLASS/* with the classes in a random order.

    Raises:
        InputRefused: the folders are not laid out like this, or there are fewer than `classes_min` classes.
    """
    classes = sorted(path.name for path in (folder / "train").glob("*") if path.is_dir())
    if not classes or not (folder / "test").is_dir():
        raise InputRefused(f"found no train/CLASS/ and test/CLASS/ folders in {folder}, expected images laid out so")
    if len(classes) < classes_min:
        raise InputRefused(f"found {len(classes)} classes in {folder}, expected at least {classes_min}")
    files = {part: images_below(folder / part) for part in ("train", "test")}
    for paths in files.values():
        if odd := sorted({path.parent.name for path in paths} ^ set(classes)):
            raise InputRefused(
                f"found images of {odd[0]!r} in only one of {folder}/train and {folder}/test, "
                "expected each class in both"
            )
    order = [classes[index] for index in np.random.default_rng(order_seed).permutation(len(classes))]
    splits = []
    for part, paths in files.items():
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
        cache: folder for embeddings; an entry holds for pictures of these bytes and a backbone that answers as this
            one does. An entry that cannot be read is made anew.
        progress: called with images done and images in all.
    """
    entry = None if cache is None else cache / f"{_fingerprint(paths, backbone, kept)}.npy"
    known = None if entry is None else _cached(entry, (len(paths), backbone.dimension))
    if known is not None:
        return known
    parts = []
    for start in range(0, len(paths), IMAGES_AT_A_TIME):
        parts.append(_embed([read_image(path) for path in paths[start : start + IMAGES_AT_A_TIME]], backbone, kept))
        if progress is not None:
            progress(start + len(parts[-1]), len(paths))
    vectors = np.concatenate(parts)
    if entry is not None:
        _keep(entry, vectors)
    return vectors


def _embed(images: Sequence[NDArray[np.uint8]], backbone: Backbone, kept: bool) -> NDArray[np.float32]:
    if not kept:
        return backbone.embed_images(images)
    activations = backbone.activations(np.stack([backbone.prepare(image) for image in images]))
    return backbone.embed([backbone.latent(activation[None]) for activation in activations])


def _fingerprint(paths: Sequence[Path], backbone: Backbone, kept: bool) -> str:
    """Digest of everything that the embeddings depend on.

    Preprocessing, quantisation and the runtime are named by what they make of one odd-sized picture.
    """
    picture = np.random.default_rng(0).integers(0, 256, (241, 319, 3)).astype(np.uint8)
    about = [
        sha256(_embed([picture], backbone, kept).tobytes()),
        sha256(backbone.prepare(picture).tobytes()),
        backbone.trunk_digest,
        backbone.tail_digest,
        kept,
        [sha256(path.read_bytes()) for path in paths],
    ]
    return sha256(json.dumps(about).encode("utf-8"))


def _cached(entry: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    try:
        vectors: NDArray[np.float32] = np.load(entry, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    sound = vectors.shape == shape and vectors.dtype == np.float32 and bool(np.isfinite(vectors).all())
    return vectors if sound else None


def _keep(entry: Path, vectors: NDArray[np.float32]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, vectors, allow_pickle=False)
    private_folder(entry.parent)
    write_durably(entry, buffer.getvalue())
