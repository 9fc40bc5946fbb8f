"""Uncertain frames, kept for a person to look at: a bounded ring, the oldest goes first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from edgecl.errors import ItemUnknown
from edgecl.memory.classes import named, next_id
from edgecl.memory.database import Database
from edgecl.memory.rows import REVIEWS, latent_fields, latent_of, number, text
from edgecl.types import Latent


@dataclass(frozen=True)
class ReviewFrame:
    """One uncertain frame.

    Attributes:
        id: number, rising, never reused.
        latent: so that it can be taught without the camera.
        trunk: sha256 of the trunk that made the latent.
        thumbnail: JPEG, or None.
        guess: the most probable class at that time, or None where nothing was taught.
        probability: of the guess, in [0, 1].
        unknown_score: in [0, 1], see Prediction.
        taken_at: s, UTC since the epoch.
        camera: where it came from.
    """

    id: int
    latent: Latent
    trunk: str
    thumbnail: bytes | None
    guess: str | None
    probability: float
    unknown_score: float
    taken_at: float
    camera: str


class Reviews:
    """The ring as it is on disk. Any method may raise what Store's methods may.

    What is kept here is no part of the memory: nothing is learned from it and its revision stays the same.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __iter__(self) -> Iterator[ReviewFrame]:
        """Every frame, oldest first, as they are now."""
        with self._database.reading() as database:
            frames = [_frame(row) for row in REVIEWS.read(database, "ORDER BY id")]
        return iter(frames)

    def __len__(self) -> int:
        with self._database.reading() as database:
            return int(database.execute("SELECT count(*) FROM reviews").fetchone()[0])

    def add(self, frame: ReviewFrame, keep: int) -> int:
        """Keep `frame` under the next number, which is returned, and no more than the newest `keep` frames."""
        with self._database.writing() as database:
            review_id = next_id(database, "reviews")
            row = (
                review_id,
                text(frame.trunk),
                *latent_fields(frame.latent),
                frame.thumbnail,
                None if frame.guess is None else text(frame.guess),
                None if frame.guess is None else named(database, frame.guess),
                number(frame.probability, "probability"),
                number(frame.unknown_score, "unknown_score"),
                number(frame.taken_at, "taken_at"),
                text(frame.camera),
            )
            REVIEWS.insert(database, [row])
            database.execute(
                "DELETE FROM reviews WHERE id NOT IN (SELECT id FROM reviews ORDER BY id DESC LIMIT ?)", (keep,)
            )
        return review_id

    def get(self, review_id: int) -> ReviewFrame:
        """One frame.

        Raises:
            ItemUnknown: it was taken, or has made room for newer ones.
        """
        with self._database.reading() as database:
            return _find(database, review_id)

    def take(self, review_id: int) -> ReviewFrame:
        """Remove one frame and return it.

        Raises:
            ItemUnknown: it was taken, or has made room for newer ones.
        """
        with self._database.writing() as database:
            frame = _find(database, review_id)
            database.execute("DELETE FROM reviews WHERE id = ?", (frame.id,))
        return frame


def _find(database: sqlite3.Connection, review_id: int) -> ReviewFrame:
    found = list(REVIEWS.read(database, "WHERE id = ?", (review_id,))) if 0 < review_id < 2**63 else []
    if not found:
        raise ItemUnknown(
            f"found no review frame {review_id}, expected one that is still kept; list them with: edgecl review"
        )
    return _frame(found[0])


def _frame(row: dict[str, object]) -> ReviewFrame:
    kept = {name: row[name] for name in ReviewFrame.__dataclass_fields__ if name != "latent"}
    return ReviewFrame(latent=latent_of(row), **kept)  # type: ignore[arg-type]  # columns are the fields
