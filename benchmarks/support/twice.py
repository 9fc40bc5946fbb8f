"""Two consolidations, the second without half of what the first one learned: what is forgotten, under which penalty."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.evaluate.protocol import kept_of
from edgecl.evaluate.streams import class_stream, latent_stream
from edgecl.heads.softmax import fit
from edgecl.releases.slots import current
from edgecl.types import LinearHead
from edgecl.workstation import penalties
from edgecl.workstation.consolidation import train
from edgecl.workstation.material import Material, held_out
from edgecl.workstation.parent import IMPORTANCE, Parent
from edgecl.workstation.recipes import Recipe
from edgecl.workstation.training import Plan, Training, new_head

TAUGHT, DROPPED, KEEP = 60, 30, 20  # classes of the first memory, those left out of the second, examples of each


@dataclass(frozen=True, eq=False)
class Stage:
    """One order of teaching.

    Attributes:
        memory: the 20 kept examples of each of all classes, which are numbered in the order of teaching.
        held: bool (N,), views of the memory that no tail is trained on.
        test: the test pictures.
        parent: the exported release.
    """

    memory: Material
    held: NDArray[np.bool_]
    test: Material
    parent: Parent

    @classmethod
    def of(cls, folder: Path, home: Path, cache: Path, order_seed: int) -> Stage:
        """Read the pictures in `folder`, train/CLASS/* and test/CLASS/*."""
        backbone = Backbone(current(home))
        stream = class_stream(folder, backbone, order_seed, cache)
        latents = latent_stream(folder, backbone, order_seed, cache)
        names = dict(enumerate(stream.names))

        def material(part, rows) -> Material:
            chosen = part.select(rows)
            zero_points = chosen.zero_points.astype(np.int64)
            return Material(chosen.codes, chosen.scales, zero_points, chosen.labels, chosen.labels, names)

        rows = np.concatenate([kept_of(label, stream, KEEP) for label in range(len(names))])
        memory = material(latents.train, rows)
        return cls(memory, held_out(memory), material(latents.test, slice(None)), Parent.of(current(home)))

    def shown(self, classes: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> tuple[Material, NDArray[np.bool_]]:
        """The part of the memory whose class numbers satisfy `classes`, and which of it is held out."""
        mask = classes(self.memory.class_ids)
        part = self.memory.select(mask)
        present = {k: name for k, name in part.names.items() if classes(np.array([k])).all()}
        return replace(part, names=present), self.held[mask]

    def first(self, seed: int) -> Parent:
        """The tail after a consolidation of the first 60 classes without a penalty, with what each penalty measures.

        All begin the second consolidation with the same tail: what differs is what they guard.
        """
        material, held = self.shown(lambda k: k < TAUGHT)
        tail = Parent.of(self.parent.folder).tail
        params = dict(tail.named_parameters())
        path = penalties.penalty_of("si")(params, 0.0)  # watches, and costs nothing
        training = Training(tail, new_head(1280, TAUGHT), material, held, path, Plan(seed=seed))
        training.warm_up()
        for _ in training.epochs():
            pass
        training.end()
        found = {"si": path}
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(~held))[:400]
        for name in ("ewc", "mas"):
            found[name] = penalties.penalty_of(name)(params, 0.0)
            found[name].end(training.outputs(rows))
        importances = {
            f"{name}{IMPORTANCE}{key.removeprefix('importance.')}": value
            for name, penalty in found.items()
            for key, value in penalty.state().items()
            if key.startswith("importance.")
        }
        return replace(self.parent, tail=tail.eval(), importances=importances)

    def second(self, parent: Parent, recipe: Recipe, seed: int) -> torch.nn.Module:
        """The tail after another consolidation, from a memory without the first 30 classes but with 21 new ones."""
        material, held = self.shown(lambda k: k >= DROPPED)
        return train(parent, material, held, recipe, Plan(seed=seed)).tail

    def head(self, tail: torch.nn.Module, classes: int, on_test: bool) -> LinearHead:
        """The device's head, fitted to the first `classes` classes of the memory as `tail` embeds it.

        With `on_test` false what is held out is left out, to be asked about.
        """
        view = self.memory.view(_embedded(tail, self.memory), "0" * 64, self.parent.manifest.spread)
        return fit(view.select((self.memory.class_ids < classes) & (on_test | ~self.held)))

    def accuracy(self, tail: torch.nn.Module, head: LinearHead, on_test: bool) -> NDArray[np.float64]:
        """Accuracy of each class that `head` knows, on test pictures embedded by `tail`, or on what is held out."""
        asked = self.test if on_test else self.memory.select(self.held)
        right = head.class_ids[head.logits(_embedded(tail, asked)).argmax(axis=1)] == asked.class_ids
        return np.array([right[asked.class_ids == k].mean() for k in head.class_ids])


@torch.no_grad()
def _embedded(tail: torch.nn.Module, material: Material) -> NDArray[np.float32]:
    """Embeddings float32 (N, D) by the network itself."""
    parts = [tail(material.real(slice(start, start + 64))) for start in range(0, len(material), 64)]
    result: NDArray[np.float32] = torch.cat(parts).numpy()
    return result


def cache_folder() -> Path:
    """Where embeddings and latents of the pictures stay between scripts of one machine."""
    return Path(tempfile.gettempdir(), "edgecl-benchmarks")
