"""What the memory holds, embedded by a tail: what lacks an embedding gets one, on disk or for the moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.errors import BackboneMismatch
from edgecl.memory.store import Store
from edgecl.memory.view import MemoryView

AT_A_TIME = 64
ATTEMPTS = 5  # a process beside us may teach between two looks; each time there is less left to embed


def whole_view(store: Store, backbone: Backbone, known: MemoryView | None = None) -> MemoryView:
    """Every live example with its embedding by the tail of `backbone`; `known` is an earlier view, read no more.

    Where the store may be written to, what lacked is kept; else it is there for this view alone.

    Raises:
        BackboneMismatch: a latent is of another trunk.
        StoreUnwritable: the disk refuses.
    """
    tail = backbone.tail_digest
    if known is not None and known.tail != tail:
        known = None
    for attempt in range(ATTEMPTS):
        lacking = [] if known is None else known.example_ids.tolist()
        missing = sorted(set(store.missing_vectors(tail)) - set(lacking))
        if store.writable:
            embed(store, backbone, missing)
        elif missing:
            known = _with(known, *embedded(store, backbone, missing), backbone)
        try:
            return _shaped(store.view(tail, known), backbone)
        except BackboneMismatch:
            if store.writable or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def embed(store: Store, backbone: Backbone, ids: Sequence[int]) -> None:
    """Embed these examples and keep what comes out; displaced ones are embedded if they come back."""
    for start in range(0, len(ids), AT_A_TIME):
        store.put_vectors(backbone.tail_digest, *embedded(store, backbone, ids[start : start + AT_A_TIME]))


def embedded(store: Store, backbone: Backbone, ids: Sequence[int]) -> tuple[list[int], NDArray[np.float32]]:
    """(ids (n,), embeddings float32 (n, D)) of those of the examples that are live, AT_A_TIME latents in memory."""
    found: list[int] = []
    parts = [np.empty((0, backbone.dimension), np.float32)]
    for start in range(0, len(ids), AT_A_TIME):
        examples = list(store.examples(ids=ids[start : start + AT_A_TIME]))
        found += [example.id for example in examples]
        parts.append(backbone.embed([example.latent for example in examples]))
    return found, np.concatenate(parts)


def embed_anew(store: Store, backbone: Backbone, progress: Callable[[int, int], None] | None = None) -> None:
    """Embed every live example, also those that have an embedding; `progress` gets how many are done, and of how many.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    total = sum(store.counts().values())
    examples = store.examples()
    done = 0
    while chunk := [example for _, example in zip(range(AT_A_TIME), examples, strict=False)]:
        vectors = backbone.embed([example.latent for example in chunk])
        store.put_vectors(backbone.tail_digest, [example.id for example in chunk], vectors)
        done += len(chunk)
        if progress is not None:
            progress(done, total)


def _with(known: MemoryView | None, ids: Sequence[int], vectors: NDArray[np.float32], backbone: Backbone) -> MemoryView:
    """`known` with these rows, as a place to find embeddings in; its classes mean nothing."""
    if known is not None and len(known):
        ids = [*known.example_ids.tolist(), *ids]
        vectors = np.concatenate([known.vectors, vectors])
    order = np.argsort(np.asarray(ids, np.int64))
    numbers = np.asarray(ids, np.int64)[order]
    blank = np.zeros_like(numbers)
    return MemoryView(vectors[order], blank, numbers, blank, {}, backbone.tail_digest, 0)


def _shaped(view: MemoryView, backbone: Backbone) -> MemoryView:
    """With the spread that the tail is known to have; an empty memory has embeddings of its width too."""
    view = replace(view, spread=backbone.manifest.spread)
    return view if len(view) else replace(view, vectors=np.zeros((0, backbone.dimension), np.float32))
