"""A lesson while it is being given: frames come in, candidates for the memory are held, nothing is written yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgecl.backbone import Backbone
from edgecl.config import MemorySettings
from edgecl.errors import BackboneMismatch, FrameUnusable
from edgecl.gate import FrameGate
from edgecl.images import encode_jpeg
from edgecl.memory.replay import distinct, representatives
from edgecl.memory.reviews import ReviewFrame
from edgecl.types import Example, Frame, Latent, Sight

PICTURES_MAX = 500  # of a lesson that comes as a whole
CANDIDATES_PER_KEPT = 4  # a lesson may be as long as it likes; so many candidates are held at once


@dataclass(frozen=True)
class Candidate:
    """A good frame of the lesson.

    Attributes:
        latent: what the memory would keep.
        vector: float32 (D,), the latent's embedding.
        thumbnail: JPEG, or None.
        taken_at: s, UTC since the epoch.
        camera: where it came from.
    """

    latent: Latent
    vector: NDArray[np.float32]
    thumbnail: bytes | None
    taken_at: float
    camera: str

    def example(self, trunk: str) -> Example:
        """As the store takes it."""
        return Example(0, 0, 0, self.latent, trunk, self.thumbnail, self.taken_at, self.camera)


def candidate_of(backbone: Backbone, settings: MemorySettings, frame: Frame, sight: Sight) -> Candidate:
    """A frame in the form in which it can be taught.

    Raises:
        FrameUnusable: its numbers are not finite.
    """
    latent = backbone.latent(sight.activation)
    # What is learned is the embedding of what is kept, so that a rebuild gives the same head.
    fits = backbone.latents_are_exact and sight.embedding.tail == backbone.tail_digest
    vector = sight.embedding.vector if fits else backbone.embed([latent])[0]
    thumbnail = encode_jpeg(frame.image, settings.thumbnail_px) if settings.thumbnails else None
    return Candidate(latent, vector, thumbnail, frame.taken_at, frame.camera)


class Burst:
    """The frames of one lesson.

    Attributes:
        seen: frames looked at.
        reasons: why frames were refused, with counts.
        candidates: good frames, in the order in which they came.
    """

    def __init__(self, backbone: Backbone, gate: FrameGate, settings: MemorySettings) -> None:
        self._backbone = backbone
        self._gate = gate
        self._settings = settings
        self.seen = 0
        self.reasons: Counter[str] = Counter()
        self.candidates: list[Candidate] = []

    @property
    def rejected(self) -> int:
        """Frames refused."""
        return sum(self.reasons.values())

    def reject(self, reason: str) -> None:
        """Count a frame that could not even be read."""
        self.seen += 1
        self.reasons[reason] += 1

    def add(self, frame: Frame, sight: Sight | None = None) -> str | None:
        """Look at one frame; return why it was refused, or None.

        Args:
            frame: of the lesson's class.
            sight: what the backbone made of it, where that is known already.
        """
        self.seen += 1
        verdict = self._gate.check(frame)
        reason = verdict.reason
        if verdict.accepted:
            try:
                seen = sight or self._backbone.see(frame.image)
                self.candidates.append(candidate_of(self._backbone, self._settings, frame, seen))
            except FrameUnusable:
                reason = "not finite"
        if reason is not None:
            self.reasons[reason] += 1
        elif len(self.candidates) >= 2 * CANDIDATES_PER_KEPT * self._settings.per_class:
            self._thin()
        return reason

    def take(self, candidates: Iterable[Candidate]) -> None:
        """Take in frames that were looked at before."""
        for candidate in candidates:
            self.seen += 1
            self.candidates.append(candidate)

    def follow(self, backbone: Backbone) -> None:
        """Go on with another tail for the same trunk: what was seen so far is embedded by it."""
        if backbone.tail_digest != self._backbone.tail_digest and self.candidates:
            vectors = backbone.embed([candidate.latent for candidate in self.candidates])
            self.candidates = [
                replace(candidate, vector=vector) for candidate, vector in zip(self.candidates, vectors, strict=True)
            ]
        self._backbone = backbone

    def add_kept(self, frame: ReviewFrame) -> None:
        """Take in a frame that was kept for review.

        Raises:
            BackboneMismatch: it was kept with another trunk.
        """
        if frame.trunk != self._backbone.trunk_digest:
            raise BackboneMismatch(
                f"found review frame {frame.id} made by trunk {frame.trunk[:12]}…, expected "
                f"{self._backbone.trunk_digest[:12]}…; use the precision it was kept with, or drop it with: "
                f"edgecl review drop {frame.id}"
            )
        self.seen += 1
        vector = self._backbone.embed([frame.latent])[0]
        self.candidates.append(Candidate(frame.latent, vector, frame.thumbnail, frame.taken_at, frame.camera))

    def vectors(self) -> NDArray[np.float32]:
        """Embeddings of the candidates, float32 (n, D)."""
        return np.stack([c.vector for c in self.candidates]) if self.candidates else np.zeros((0, 0), np.float32)

    def _thin(self) -> None:
        vectors = self.vectors()
        fresh = distinct(vectors, vectors[:0], self._settings.redundant_cosine)
        kept = fresh[representatives(vectors[fresh], CANDIDATES_PER_KEPT * self._settings.per_class)]
        self.candidates = [self.candidates[index] for index in sorted(kept.tolist())]
