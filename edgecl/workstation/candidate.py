"""A trained tail in the form that devices run: graphs in each precision, held against the network and its parent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from edgecl.config import BackboneSettings
from edgecl.errors import ConsolidationRefused
from edgecl.manifest import Precision, read_verified
from edgecl.runtime import open_session, run
from edgecl.workstation import graphs, parity, quantize
from edgecl.workstation.material import Material
from edgecl.workstation.nets import Tail
from edgecl.workstation.origin import graph_of
from edgecl.workstation.parent import Parent

CALIBRATION = 120  # latents of the memory, beside the golden ones
AT_A_TIME = 64  # latents turned into float32 at once
RUNS = 30  # of which the fastest counts: other work only makes a run slower


@dataclass(frozen=True, eq=False)
class Candidate:
    """A tail that may become a release.

    Attributes:
        tail: the network, in evaluation mode, on the CPU.
        tails: the ONNX file of each precision that the parent has.
        answers: what each makes of the golden latents, float32 (32, D).
        parity: least cosine and largest difference between each graph and the network in PyTorch, on golden latents.
        latency: time of each graph for one latent over that of the parent's, measured in one run.
        spread: of the tail's embeddings of one thing, see `BackboneManifest`.
    """

    tail: Tail
    tails: Mapping[Precision, bytes]
    answers: Mapping[Precision, NDArray[np.float32]]
    parity: Mapping[Precision, Mapping[str, float]]
    latency: Mapping[Precision, float]
    spread: float

    @classmethod
    def of(cls, tail: Tail, parent: Parent, material: Material) -> Candidate:
        """Turn `tail` into graphs; int8 is calibrated on golden latents and on some of what it was trained on.

        Raises:
            ConsolidationRefused: a graph gives numbers that are not finite.
        """
        tail = tail.cpu().eval()
        if _same(tail, parent.tail):
            graphs_there = parent.manifest.graphs
            return cls._of_graphs(
                {p: read_verified(parent.folder, graphs_there[p].tail) for p in graphs_there}, tail, parent
            )
        example = torch.zeros((2, *parent.manifest.latent_shape))
        plain = graphs.canonical(
            graph_of(tail, example, "latent", "embedding"), parent.manifest.source, parent.manifest.license
        )
        tails: dict[Precision, bytes] = {}
        for precision, parts in parent.manifest.graphs.items():
            model = plain
            if parts.latent is not None:
                model = quantize.quantise_tail(plain, _to_calibrate(parent, material, precision), parts.latent)
                model = graphs.canonical(model, parent.manifest.source, parent.manifest.license)
            tails[precision] = graphs.write_graph(model)
        return cls._of_graphs(tails, tail, parent)

    @classmethod
    def _of_graphs(cls, tails: dict[Precision, bytes], tail: Tail, parent: Parent) -> Candidate:
        answers = {precision: run(_session(data), parent.golden(precision)) for precision, data in tails.items()}
        for precision, found in answers.items():
            if not np.isfinite(found).all():
                raise ConsolidationRefused(
                    f"found golden answers of the {precision} graph that are not finite, expected numbers; train with "
                    "a smaller rate (nothing was changed)"
                )
        return cls(
            tail, tails, answers, _parity(tail, parent, answers), _latency(tails, parent), _spread(tails, parent)
        )


def _same(tail: Tail, other: Tail) -> bool:
    """Whether nothing was trained: then the graphs are those that there are, and not quantised anew."""
    ours, theirs = tail.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def _to_calibrate(parent: Parent, material: Material, precision: Precision) -> NDArray[np.int8]:
    """int8 (n, C, h, w): the golden latents, and those of the memory where they are in this trunk's code."""
    golden = parent.golden(precision)
    code = parent.manifest.graphs[precision].latent
    same = code is not None and (material.scales == np.float32(code.scale)) & (material.zero_points == code.zero_point)
    rows = np.flatnonzero(np.broadcast_to(same, len(material)))
    chosen = rows[np.linspace(0, len(rows) - 1, min(CALIBRATION, len(rows))).astype(int)] if len(rows) else rows
    return np.concatenate([golden, material.codes[chosen]]).astype(np.int8, copy=False)


def _parity(
    tail: Tail, parent: Parent, answers: Mapping[Precision, NDArray[np.float32]]
) -> dict[Precision, dict[str, float]]:
    figures: dict[Precision, dict[str, float]] = {}
    for precision, found in answers.items():
        with torch.no_grad():
            expected = tail(parent.real_golden(precision)).numpy()
        cosines = (found * expected).sum(axis=1)
        figures[precision] = {
            "cosine_mean": float(cosines.mean()),
            "cosine_min": float(cosines.min()),
            "max_abs": float(np.abs(found - expected).max()),
        }
    return figures


def _latency(tails: Mapping[Precision, bytes], parent: Parent) -> dict[Precision, float]:
    """Time for one latent over that of the parent's graph, on one thread, in turns."""
    ratios: dict[Precision, float] = {}
    for precision, data in tails.items():
        before = read_verified(parent.folder, parent.manifest.graphs[precision].tail)
        sessions = [_session(graph, threads=1) for graph in (before, data)]
        latent = parent.golden(precision)[:1]
        seconds = np.full((RUNS, 2), np.inf)
        for attempt in range(RUNS):
            for place, session in enumerate(sessions):
                begun = time.perf_counter()
                run(session, latent)
                seconds[attempt, place] = time.perf_counter() - begun
        old, new = seconds.min(axis=0)
        ratios[precision] = float(new / old)
    return ratios


def _spread(tails: Mapping[Precision, bytes], parent: Parent) -> float:
    """Measured as at export, in float32 where the parent has it."""
    precision: Precision = "fp32" if "fp32" in tails else "int8"
    views = parity.Views.prepared(parent.manifest.input)
    trunk = read_verified(parent.folder, parent.manifest.graphs[precision].trunk)
    return parity.spread(run(_session(tails[precision]), run(_session(trunk), views.things)), views.thing)


def embedded(tail: bytes, material: Material, precision: Precision) -> NDArray[np.float32]:
    """Embeddings float32 (N, D) of `material` by the graph `tail`, as a device of this precision makes them."""
    session = _session(tail)
    if precision == "int8":
        return run(session, material.codes)
    starts = range(0, len(material), AT_A_TIME)
    return np.concatenate([run(session, material.real(slice(start, start + AT_A_TIME)).numpy()) for start in starts])


def _session(graph: bytes, threads: int = 0) -> InferenceSession:
    return open_session(graph, BackboneSettings(threads=threads))
