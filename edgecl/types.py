"""The values that travel through edgecl. All are immutable; shapes are checked when they are made."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecl.errors import BackboneMismatch, FrameUnusable, LabelRefused

LABEL_BYTES_MAX = 200

_HIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}  # controls, formats, unassigned, private, halves, separators
_BLANK = re.compile(  # what Unicode counts as letters, marks or symbols and yet nobody sees
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_EMOJI = "[©®‼⁉™ℹ\u2190-\u2bff〰〽㊗㊙\U0001f000-\U0001faff]"
_WITHIN_EMOJI = re.compile(  # colour after a picture or before a keycap, and the joint between two pictures
    f"(?<={_EMOJI})\ufe0f|(?<=[0-9#*])\ufe0f(?=\u20e3)|(?<={_EMOJI}|\ufe0f)\u200d(?={_EMOJI})"
)


def check_label(text: str) -> str:
    """Return `text` as the name of a class, in NFC form.

    A label is data: it may hold any script and any punctuation, but nothing that could pass for a
    path, a control sequence or a page of text, nothing that nobody sees, and not "unknown".

    Raises:
        LabelRefused: empty, too long, a path, or with characters that cannot be seen.
    """
    label = unicodedata.normalize("NFC", text).strip()
    shown = repr(label if len(label) <= 40 else label[:40] + "…")
    if not label:
        raise LabelRefused("found an empty label, expected a name such as 'cup'; give the class a name")
    size = len(label.encode("utf-8", "surrogatepass"))
    if size > LABEL_BYTES_MAX:
        raise LabelRefused(f"found a label of {size} bytes ({shown}), expected at most {LABEL_BYTES_MAX}; shorten it")
    bare = _WITHIN_EMOJI.sub("", label)
    kinds = {unicodedata.category(c) for c in bare}
    if kinds & _HIDDEN or _BLANK.search(bare) or all(kind[0] in "MZ" for kind in kinds):
        raise LabelRefused(f"found control, invisible or unknown characters in the label {shown}; use visible text")
    if "/" in label or "\\" in label or label in {".", ".."}:
        raise LabelRefused(f"found a path in the label {shown}, expected a plain name; leave out / and \\")
    if label.casefold() == "unknown":
        raise LabelRefused(f"found the label {shown}, which stands for what was never taught; choose another name")
    return label


@dataclass(frozen=True)
class Frame:
    """One picture from a camera.

    Attributes:
        image: uint8 (H, W, 3), BGR.
        taken_at: s, UTC since the epoch.
        monotonic: s, on this machine's monotonic clock, for ages.
        camera: name or address of the camera, without passwords.
        index: number of the frame since the camera was opened, from 0.
    """

    image: NDArray[np.uint8]
    taken_at: float
    monotonic: float
    camera: str = ""
    index: int = 0

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3 or 0 in self.image.shape:
            raise FrameUnusable(
                f"found a frame of shape {self.image.shape} and type {self.image.dtype}, "
                "expected (height, width, 3) of uint8 in BGR order; convert it first"
            )


@dataclass(frozen=True)
class Latent:
    """The activation at the cut in the form in which the memory keeps it: real = (code − zero_point) · scale.

    Attributes:
        codes: int8 (C, h, w).
        scale: size of one step, > 0.
        zero_point: the code of 0.0.
    """

    codes: NDArray[np.int8]
    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if self.codes.dtype != np.int8 or self.codes.ndim != 3:
            raise FrameUnusable(
                f"found a latent of shape {self.codes.shape} and type {self.codes.dtype}, expected (C, h, w) of int8"
            )
        if not (np.isfinite(self.scale) and self.scale > 0 and -128 <= self.zero_point <= 127):
            raise FrameUnusable(
                f"found a latent with scale {self.scale} and zero point {self.zero_point}, "
                "expected a scale > 0 and a zero point from -128 to 127"
            )

    @classmethod
    def quantise(cls, real: NDArray[np.float32]) -> Latent:
        """One scale for the whole latent, chosen so that its smallest and largest value are kept.

        Args:
            real: float32 (C, h, w).

        Raises:
            FrameUnusable: a value is not finite.
        """
        if not np.isfinite(real).all():
            raise FrameUnusable("found numbers that are not finite in the network's output; the frame was not used")
        low, high = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
        scale = max((high - low) / 255.0, 1e-12)
        zero_point = int(np.clip(np.rint(-128 - low / scale), -128, 127))
        codes = np.clip(np.rint(real / scale) + zero_point, -128, 127).astype(np.int8)
        return cls(codes, scale, zero_point)

    def real(self) -> NDArray[np.float32]:
        """float32 (C, h, w)."""
        return (self.codes.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


@dataclass(frozen=True)
class Embedding:
    """The tail's output for one picture.

    Attributes:
        vector: float32 (D,), L2-normalised.
        tail: sha256 of the tail that made it.
    """

    vector: NDArray[np.float32]
    tail: str

    def __post_init__(self) -> None:
        if self.vector.dtype != np.float32 or self.vector.ndim != 1:
            raise FrameUnusable(
                f"found an embedding of shape {self.vector.shape} and type {self.vector.dtype}, "
                "expected (D,) of float32"
            )
        if not np.isfinite(self.vector).all():
            raise FrameUnusable("found an embedding with numbers that are not finite; the frame was not used")


@dataclass(frozen=True)
class Sight:
    """What the backbone makes of one picture, once for all who need it.

    Attributes:
        activation: the trunk's output (1, C, h, w), int8 or float32 as the precision says.
        embedding: the tail's output for it.
    """

    activation: NDArray[Any]
    embedding: Embedding


@dataclass(frozen=True)
class Prediction:
    """What the head says of one picture.

    Attributes:
        label: the class, or None for unknown.
        probability: calibrated, in [0, 1], of the most probable class, whether or not it is accepted.
        top: at most 5 (label, probability), most probable first.
        unknown_score: 0 like what was taught … 1 like nothing that was taught; above 0.5 the label is None.
        camera: where the picture came from.
        taken_at: s, UTC since the epoch.
        age: s from the camera's read to this prediction.
    """

    label: str | None
    probability: float
    top: tuple[tuple[str, float], ...]
    unknown_score: float
    camera: str = ""
    taken_at: float = 0.0
    age: float = 0.0


@dataclass(frozen=True)
class Example:
    """One kept latent.

    Attributes:
        id: number, rising, never reused; 0 until the store has given one.
        lesson: number of the lesson that brought it.
        class_id: the class it counts as.
        latent: int8 (C, h, w) with its code.
        trunk: sha256 of the trunk that made the latent.
        thumbnail: JPEG, or None.
        taken_at: s, UTC since the epoch.
        camera: where it came from, without passwords.
    """

    id: int
    lesson: int
    class_id: int
    latent: Latent
    trunk: str
    thumbnail: bytes | None
    taken_at: float
    camera: str


@dataclass(frozen=True)
class Lesson:
    """One act of teaching, as the memory records it.

    Attributes:
        id: number, rising, never reused.
        kind: 'teach', 'correct', 'rename', 'merge', 'deny' (views that are not of the class), 'drop' or 'forget'.
        class_id: the class it was about.
        label: name of the class at that time.
        origin: 'camera', 'folder', 'api', 'mqtt', 'fleet' or 'import'.
        seen: frames looked at = kept + redundant + rejected.
        kept: examples that entered the memory.
        redundant: good frames that showed nothing new.
        rejected: frames refused.
        reasons: why frames were refused, with counts.
        taken_at: s, UTC since the epoch.
        undone_at: s, UTC since the epoch, or None.
        detail: `final` where it cannot be undone; of a correction and a drop the `example`; of a correction, a new name
            and a merge `from_class_id` and `from_label`, the class and name before.
    """

    id: int
    kind: str
    class_id: int
    label: str
    origin: str
    seen: int
    kept: int
    redundant: int
    rejected: int
    reasons: Mapping[str, int]
    taken_at: float
    undone_at: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LinearHead:
    """Class scores as one matrix product: logits = W·z + b. Made by a file in `heads/`, calibrated by `unknown.py`.

    Attributes:
        weight: float32 (K, D).
        bias: float32 (K,).
        class_ids: int64 (K,), rising.
        tail: sha256 of the tail whose embeddings it reads.
        revision: revision of the memory it was fitted to.
        name: the file in `heads/` that made it.
        temperature: logits are divided by it before the softmax.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    tail: str
    revision: int
    name: str
    temperature: float = 1.0

    def __post_init__(self) -> None:
        k = len(self.class_ids)
        if self.weight.ndim != 2 or self.weight.shape[0] != k or self.bias.shape != (k,):
            raise BackboneMismatch(
                f"found a head with weight {self.weight.shape} and bias {self.bias.shape}, "
                f"expected ({k}, D) and ({k},) for its {k} classes"
            )

    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) embeddings → float32 (N, K) scores, not yet divided by the temperature."""
        return vectors @ self.weight.T + self.bias

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) embeddings → float32 (N, K), rows sum to 1."""
        return softmax(self.logits(vectors) / np.float32(self.temperature))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Row-wise, (N, K) → (N, K)."""
    if logits.shape[1] == 0:
        return logits
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return result
