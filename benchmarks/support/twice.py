"""Two consolidations, the second without half of what the first one learned: what is forgotten, under which penalty."""

from __future__ import annotations

import copy
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
from edgecl.types import LinearHead, softmax
from edgecl.workstation import penalties
from edgecl.workstation.consolidation import train
from edgecl.workstation.material import Material, held_out
from edgecl.workstation.nets import Tail
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
        device: to train on, 'cpu' or 'cuda'.
    """

    memory: Material
    held: NDArray[np.bool_]
    test: Material
    parent: Parent
    device: str = "cpu"

    @classmethod
    def of(cls, folder: Path, home: Path, cache: Path, order_seed: int, device: str = "cpu") -> Stage:
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
        parent = Parent.of(current(home))
        return cls(memory, held_out(memory), material(latents.test, slice(None)), parent, device)

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
        tail = copy.deepcopy(self.parent.tail).to(self.device)
        params = dict(tail.named_parameters())
        path = penalties.penalty_of("si")(params, 0.0)  # watches, and costs nothing
        head = new_head(self.parent.manifest.dimension, TAUGHT).to(self.device)
        training = Training(tail, head, material, held, path, Plan(seed=seed))
        training.begin()
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
        return replace(self.parent, tail=tail.cpu().eval(), importances=importances)

    def trained(self, parent: Parent, recipe: Recipe, seed: int, leave_out: int = 0) -> Tail:
        """The tail of `parent` after a consolidation of all classes but the first `leave_out`."""
        material, held = self.shown(lambda k: k >= leave_out)
        return train(parent, material, held, recipe, Plan(seed=seed), device=self.device).tail

    def head(self, tail: Tail, classes: int, on_test: bool) -> LinearHead:
        """The device's head, fitted to the first `classes` classes of the memory as `tail` embeds it.

        With `on_test` false what is held out is left out, to be asked about.
        """
        view = self.memory.view(_embedded(tail, self.memory), "0" * 64, self.parent.manifest.spread)
        return fit(view.select((self.memory.class_ids < classes) & (on_test | ~self.held)))

    def known(self, tail: Tail, head: LinearHead, on_test: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How well each class that `head` knows is known, on test pictures embedded by `tail`, or on what is held out.

        Two numbers a class: accuracy, and the mean probability of the right class, which varies less by chance.
        """
        asked = self.test if on_test else self.memory.select(self.held)
        asked = asked.select(np.isin(asked.class_ids, head.class_ids))
        scores = softmax(head.logits(_embedded(tail, asked)))
        right = head.class_ids[scores.argmax(axis=1)] == asked.class_ids
        belief = scores[np.arange(len(asked)), np.searchsorted(head.class_ids, asked.class_ids)]
        of_class = [asked.class_ids == k for k in head.class_ids]
        return np.array([right[one].mean() for one in of_class]), np.array([belief[one].mean() for one in of_class])


@torch.no_grad()
def _embedded(tail: Tail, material: Material) -> NDArray[np.float32]:
    """Embeddings float32 (N, D) by the network itself."""
    parts = [tail(material.real(slice(start, start + 64))) for start in range(0, len(material), 64)]
    result: NDArray[np.float32] = torch.cat(parts).numpy()
    return result


def cache_folder() -> Path:
    """Where embeddings and latents of the pictures stay between scripts of one machine."""
    return Path(tempfile.gettempdir(), "edgecl-benchmarks")
