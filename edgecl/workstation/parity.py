"""How close the exported graphs come to the original network, and what is refused."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from edgecl.backbone import preprocess
from edgecl.cameras.sample import FREE, PHOTOGRAPHS, calibration_frames, photograph, pose, view
from edgecl.errors import ExportRefused
from edgecl.manifest import InputSpec, Precision
from edgecl.runtime import run
from edgecl.workstation.graphs import session
from edgecl.workstation.origin import TRANSFORMS, Classes, Origin

GOLDEN = 32  # pictures
MOMENTS = 12  # of each photograph
GOLDEN_SEED, VIEWS_SEED = 11, 12  # other hands than the one that calibrates
_STEP_S = 7.3  # between moments, so that no two are alike


@dataclass(frozen=True)
class Limit:
    """A figure of the report, and how far it may go."""

    figure: str
    least: float | None = None
    most: float | None = None


# fp32 may differ by rounding alone. int8: EfficientNet-Lite0 has 0.996 and 0.965; without bias correction 0.986, 0.946.
LIMITS: Mapping[Precision, tuple[Limit, ...]] = {
    "fp32": (
        Limit("max_abs", most=1e-4),
        Limit("cosine_min", least=0.9999),
        Limit("class_agreement", least=1.0),
        Limit("top1_agreement", least=0.99),
    ),
    "int8": (
        Limit("cosine_mean", least=0.98),
        Limit("cosine_min", least=0.95),
        Limit("class_agreement", least=0.95),
        Limit("top1_agreement", least=0.8),
    ),
}


@dataclass(frozen=True)
class Views:
    """Pictures that nothing was calibrated on, prepared for the trunk.

    Attributes:
        raws: pictures uint8 (H, W, 3) BGR before they were prepared, smaller and larger than S, lying and standing.
        golden: uint8 (32, S, S, 3), of all photographs; the first ones are `raws`, prepared.
        things: uint8 (things · 12, S, S, 3), twelve moments of each colour photograph in turn.
        thing: int (things · 12,), which photograph.
    """

    raws: tuple[NDArray[np.uint8], ...]
    golden: NDArray[np.uint8]
    things: NDArray[np.uint8]
    thing: NDArray[np.int64]

    @classmethod
    @functools.lru_cache(maxsize=1)
    def prepared(cls, spec: InputSpec) -> Views:
        """The pictures for a trunk's input, made once and shared; nobody writes to them.

        Raises:
            ExtraMissing: the photographs are not installed.
        """
        photos = [photograph(name) for name in PHOTOGRAPHS]
        coloured = [photo for photo in photos if (photo[..., 0] != photo[..., 2]).any()]
        poses = [pose(VIEWS_SEED, _STEP_S * moment) for moment in range(MOMENTS)]
        things = [preprocess(view(photo, at), spec) for photo in coloured for at in poses]
        frames = list(calibration_frames(GOLDEN, GOLDEN_SEED, FREE))
        sizes = ((160, 120), (121, 161), (3 * spec.size // 2 + 1, 6 * spec.size // 5))  # px, width and height
        raws = tuple(_shrunk(frame, size) for frame, size in zip(frames, sizes, strict=False))
        golden = [preprocess(frame, spec) for frame in (*raws, *frames[len(raws) :])]
        return cls(raws, np.stack(golden), np.stack(things), np.arange(len(coloured)).repeat(MOMENTS))


def _shrunk(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True)
class Answers:
    """What one precision gives for the views.

    Attributes:
        latents: (N, C, h, w) of the golden pictures, int8 or float32.
        golden: embeddings float32 (32, D).
        things: embeddings float32 (things · 12, D).
        features: float32 (things · 12, D), what the original classifier reads.
    """

    latents: NDArray[Any]
    golden: NDArray[np.float32]
    things: NDArray[np.float32]
    features: NDArray[np.float32]


def answers(trunk: ModelProto, tail: ModelProto, views: Views) -> Answers:
    """Run the views through trunk and tail."""
    first, second = session(trunk), session(tail)
    watching = session(_with_features(tail))
    latents, things = run(first, views.golden), run(first, views.things)
    return Answers(latents, run(second, latents), run(second, things), run(watching, things))


def _with_features(tail: ModelProto) -> ModelProto:
    """`tail` up to what the original classifier reads: its last pooling or flattening."""
    result = copy.deepcopy(tail)
    last = next(node for node in reversed(result.graph.node) if node.op_type in ("ReduceMean", "Flatten"))
    del result.graph.output[:]
    result.graph.output.append(helper.make_tensor_value_info(last.output[0], TensorProto.FLOAT, None))
    return result


def spread(embeddings: NDArray[np.float32], thing: NDArray[np.int64]) -> float:
    """Mean squared distance of an embedding from the mean of its thing: the trace of the covariance within a class.

    Σ‖z − mean of its thing‖² / (N − K), unbiased over N embeddings (N, D) of K things.
    """
    squares = 0.0
    for one in np.unique(thing):
        rows = embeddings[thing == one].astype(np.float64)
        squares += float(((rows - rows.mean(axis=0)) ** 2).sum())
    return squares / (len(thing) - len(np.unique(thing)))


@dataclass(frozen=True)
class Original:
    """What the original network, not its graphs, gives for the views.

    Attributes:
        golden: embeddings float32 (32, D).
        things: embeddings float32 (things · 12, D).
        features: float32 (things · 12, D).
        classes: its classifier, features → scores; None where there is none.
    """

    golden: NDArray[np.float32]
    things: NDArray[np.float32]
    features: NDArray[np.float32]
    classes: Classes | None = None

    @classmethod
    def of(cls, origin: Origin, views: Views) -> Original:
        """Ask the network."""
        features = origin.original(np.concatenate([views.golden, views.things]))
        embeddings, golden = TRANSFORMS[origin.transform](features), len(views.golden)
        return cls(embeddings[:golden], embeddings[golden:], features[golden:], origin.classes)


def compare(original: Original, found: Answers, views: Views) -> dict[str, float]:
    """The figures of one precision against the original network.

    `class_agreement` is the share of views that a nearest-class-mean head names alike, taught on every second view with
    the embeddings of either; `top1_agreement` is that of the original classifier's first choice.
    """
    expected = np.concatenate([original.golden, original.things])
    vectors = np.concatenate([found.golden, found.things])
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    products = (vectors * expected).sum(axis=1)
    cosines = np.divide(products, lengths, out=np.full_like(products, np.nan), where=lengths > 0)  # 0 has no direction
    named = [_nearest(rows, views.thing) for rows in (original.things, found.things)]
    figures = {
        "max_abs": float(np.abs(vectors - expected).max()),
        "cosine_mean": float(cosines.mean()),
        "cosine_min": float(cosines.min()),
        "class_agreement": float((named[0] == named[1]).mean()),
    }
    if original.classes is not None:
        chosen, expected_choice = (
            original.classes(rows).argmax(axis=1) for rows in (found.features, original.features)
        )
        figures["top1_agreement"] = float((chosen == expected_choice).mean())
    return figures


def _nearest(vectors: NDArray[np.float32], thing: NDArray[np.int64]) -> NDArray[np.int64]:
    """The thing whose mean over even views is nearest in angle to each odd view."""
    means = np.stack([vectors[0::2][thing[0::2] == one].mean(axis=0) for one in np.unique(thing)])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    result: NDArray[np.int64] = (vectors[1::2] @ means.T).argmax(axis=1)
    return result


def check(precision: Precision, figures: Mapping[str, float]) -> None:
    """Hold `figures` against the limits.

    Raises:
        ExportRefused: one of them is beyond its limit or no number.
    """
    for limit in LIMITS[precision]:
        found = figures.get(limit.figure)
        if found is None:  # a backbone without its classifier has no top-1
            continue
        if limit.most is not None and not found <= limit.most:
            raise _refusal(precision, limit.figure, found, f"at most {limit.most:g}")
        if limit.least is not None and not found >= limit.least:
            raise _refusal(precision, limit.figure, found, f"at least {limit.least:g}")


def _refusal(precision: Precision, figure: str, found: float, expected: str) -> ExportRefused:
    remedy = (
        'export with precisions=("fp32",), or calibrate on pictures that are more like those of the camera'
        if precision == "int8"
        else "this network cannot be exported with this version of the exporter"
    )
    return ExportRefused(
        f"the {precision} graphs do not compute what the network computes: found {figure} {found:.4g}, "
        f"expected {expected}; nothing was written; {remedy}"
    )


def latency(trunk: ModelProto, tail: ModelProto, picture: NDArray[np.uint8], runs: int = 30) -> dict[str, float]:
    """Milliseconds for one picture on one thread: the fastest of `runs`, since other work only makes it slower.

    Args:
        trunk: graph in one precision.
        tail: graph in the same precision.
        picture: uint8 (1, S, S, 3).
        runs: of each part.
    """
    latent = run(session(trunk, threads=1), picture)
    result = {}
    for part, model, data in (("trunk", trunk, picture), ("tail", tail, latent)):
        running = session(model, threads=1)
        times = []
        for _ in range(runs + 3):
            start = time.perf_counter()
            run(running, data)
            times.append(time.perf_counter() - start)
        result[f"{part}_ms"] = round(1000 * min(times[3:]), 3)
    return result
