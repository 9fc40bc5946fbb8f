"""Streams for evaluation: folders of images in the order in which a seed teaches the classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.errors import InputRefused
from edgecl.evaluate.cache import cached, keep
from edgecl.files import sha256
from edgecl.images import images_below, read_image
from edgecl.types import Latent

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


@dataclass(frozen=True, eq=False)
class Latents:
    """Images as the trunk sees them, in the form in which the memory keeps them.

    Attributes:
        codes: int8 (N, C, h, w); real = (code − zero point) · scale.
        scales: float32 (N,), > 0; equal throughout where the trunk is int8.
        zero_points: int16 (N,).
        labels: int64 (N,), indices into the stream's class names.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int16]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[Any]) -> Latents:
        """Those of `rows`, a mask or indices."""
        return Latents(self.codes[rows], self.scales[rows], self.zero_points[rows], self.labels[rows])

    def real(self) -> NDArray[np.float32]:
        """float32 (N, C, h, w): four times the size of the codes."""
        by_image = (slice(None), None, None, None)
        zeros = self.zero_points[by_image].astype(np.float32)
        result: NDArray[np.float32] = (self.codes.astype(np.float32) - zeros) * self.scales[by_image]
        return result


@dataclass(frozen=True)
class LatentStream:
    """What a stream looks like to whoever trains a tail.

    Attributes:
        names: of the classes, in the order in which they are taught; as `Stream` with the same seed.
        train: rows as in `Stream`.
        test: rows as in `Stream`, but coded like the others, where the live view of an fp32 backbone is not.
    """

    names: tuple[str, ...]
    train: Latents
    test: Latents


@dataclass(frozen=True)
class Pictures:
    """The files of a stream.

    Attributes:
        names: of the classes, in the order in which they are taught.
        train: to learn from.
        test: to ask about.
    """

    names: tuple[str, ...]
    train: list[Path]
    test: list[Path]

    def labels(self, paths: Sequence[Path]) -> NDArray[np.int64]:
        """int64 (N,), indices into `names`."""
        numbers = {name: number for number, name in enumerate(self.names)}
        return np.asarray([numbers[path.parent.name] for path in paths], np.int64)


def class_stream(
    folder: Path,
    backbone: Backbone,
    order_seed: int,
    cache: Path | None = None,
    progress: Progress | None = None,
    classes_min: int = 1,
) -> Stream:
    """`folder`/train/CLASS/* and `folder`/test/CLASS/* with the classes in a random order, embedded.

    Raises:
        InputRefused: the folders are not laid out like this, or there are fewer than `classes_min` classes.
    """
    pictures = stream_pictures(folder, order_seed, classes_min)
    train, test = (
        Split(embed_files(paths, backbone, kept=kept, cache=cache, progress=progress), pictures.labels(paths))
        for paths, kept in ((pictures.train, True), (pictures.test, False))
    )
    return Stream(pictures.names, train, test)


def latent_stream(
    folder: Path,
    backbone: Backbone,
    order_seed: int,
    cache: Path | None = None,
    progress: Progress | None = None,
    classes_min: int = 1,
) -> LatentStream:
    """The pictures and the order of `class_stream`, before the tail: what the trunk makes of them.

    Args:
        folder: train/CLASS/* and test/CLASS/*.
        backbone: its trunk makes the latents, its precision their code.
        order_seed: of the order of the classes.
        cache: folder for latents, 9.4 kB an image; None to make them anew.
        progress: called with images done and images in all, of train and then of test.
        classes_min: how many there must be.

    Raises:
        InputRefused: the folders are not laid out like this, or there are fewer than `classes_min` classes.
    """
    pictures = stream_pictures(folder, order_seed, classes_min)
    train, test = (
        _latents_of(paths, pictures.labels(paths), backbone, cache, progress)
        for paths in (pictures.train, pictures.test)
    )
    return LatentStream(pictures.names, train, test)


def stream_pictures(folder: Path, order_seed: int, classes_min: int = 1) -> Pictures:
    """The files of `folder`/train/CLASS/* and `folder`/test/CLASS/*, and the classes in a random order.

    Raises:
        InputRefused: the folders are not laid out like this, or there are fewer than `classes_min` classes.
    """
    classes = sorted(path.name for path in (folder / "train").glob("*") if path.is_dir())
    if not classes or not (folder / "test").is_dir():
        raise InputRefused(f"found no train/CLASS/ and test/CLASS/ folders in {folder}, expected images laid out so")
    if len(classes) < classes_min:
        raise InputRefused(f"found {len(classes)} classes in {folder}, expected at least {classes_min}")
    train, test = (images_below(folder / part) for part in ("train", "test"))
    for paths in (train, test):
        if odd := sorted({path.parent.name for path in paths} ^ set(classes)):
            raise InputRefused(
                f"found images of {odd[0]!r} in only one of {folder}/train and {folder}/test, "
                "expected each class in both"
            )
    order = np.random.default_rng(order_seed).permutation(len(classes))
    return Pictures(tuple(classes[index] for index in order), train, test)


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
    about = [backbone.trunk_digest, backbone.tail_digest, kept]
    entry = _entry(cache, paths, backbone, lambda images: _embed(images, backbone, kept), about)
    known = cached(entry, (len(paths), backbone.dimension), np.float32)
    if known is not None and bool(np.isfinite(known).all()):
        return known
    vectors = np.concatenate([_embed(images, backbone, kept) for images in _batches(paths, progress)])
    keep(entry, vectors)
    return vectors


def _embed(images: Sequence[NDArray[np.uint8]], backbone: Backbone, kept: bool) -> NDArray[np.float32]:
    return backbone.embed(_latents(images, backbone)) if kept else backbone.embed_images(images)


def _latents(images: Sequence[NDArray[np.uint8]], backbone: Backbone) -> list[Latent]:
    activations = backbone.activations(np.stack([backbone.prepare(image) for image in images]))
    return [backbone.latent(activation[None]) for activation in activations]


def _latents_of(
    paths: Sequence[Path],
    labels: NDArray[np.int64],
    backbone: Backbone,
    cache: Path | None,
    progress: Progress | None,
) -> Latents:
    kind = np.dtype([("code", np.int8, backbone.manifest.latent_shape), ("scale", np.float32), ("zero", np.int16)])

    def rows(images: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        return np.array([(one.codes, one.scale, one.zero_point) for one in _latents(images, backbone)], kind)

    entry = _entry(cache, paths, backbone, rows, ["latents", backbone.trunk_digest])
    found = cached(entry, (len(paths),), kind)
    if found is None:
        found = np.concatenate([rows(images) for images in _batches(paths, progress)])
        keep(entry, found)
    codes, scales, zeros = (np.ascontiguousarray(found[field]) for field in ("code", "scale", "zero"))
    return Latents(codes, scales, zeros, labels)


def _batches(paths: Sequence[Path], progress: Progress | None) -> Iterator[list[NDArray[np.uint8]]]:
    for start in range(0, len(paths), IMAGES_AT_A_TIME):
        images = [read_image(path) for path in paths[start : start + IMAGES_AT_A_TIME]]
        yield images
        if progress is not None:
            progress(start + len(images), len(paths))


def _entry(
    cache: Path | None,
    paths: Sequence[Path],
    backbone: Backbone,
    answer: Callable[[list[NDArray[np.uint8]]], NDArray[Any]],
    about: list[Any],
) -> Path | None:
    """The file for what `answer` makes of `paths`, named after everything that this depends on.

    Preprocessing, quantisation and the runtime are named by what they make of one odd-sized picture.
    """
    if cache is None:
        return None
    picture = np.random.default_rng(0).integers(0, 256, (241, 319, 3)).astype(np.uint8)
    about = [sha256(answer([picture]).tobytes()), sha256(backbone.prepare(picture).tobytes()), *about]
    about.append([sha256(path.read_bytes()) for path in paths])
    return cache / f"{sha256(json.dumps(about).encode('utf-8'))}.npy"
