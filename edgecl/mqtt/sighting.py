"""One camera as MQTT tells of it: on change only, and no change before it has lasted."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

from edgecl.daemon.snapshots import Live, State
from edgecl.images import encode_jpeg
from edgecl.records import of_prediction

STEADY_S = 0.3  # so long an answer has to last before it is told; at the cut of a scene it flickers
MOVED = 0.1  # of the probability, that is worth telling
PAUSE_S = 1.0  # between two tellings of a moved probability
GONE_S = 1.0  # a name that is no more is told for so long at the most
IMAGE_PX = 960  # longer side of the pictures

Record = dict[str, Any]


class Sighting:
    """What is told of one camera.

    Attributes:
        available: whether it is looked through, and answered for.
        told: whether there is a label to tell.
        label: as it is told; None for unknown.
        attributes: that are told with it, None before there are any.
        image: JPEG, None before there is one, and where none is asked for.
    """

    def __init__(self, image_every_s: float | None) -> None:
        """Nothing was seen yet.

        Args:
            image_every_s: between two pictures that show no change; None where none is to be told.
        """
        self.available = self.told = False
        self.label: str | None = None
        self.attributes: Record | None = None
        self.image: bytes | None = None
        self._image_every_s = image_every_s
        self._lock = threading.Lock()
        self._newest: Live | None = None
        self._since: float | None = None  # the label of the newest answer has lasted since then; s, monotonic
        self._attributes_at = self._image_at = float("-inf")
        self._stale_since: float | None = None

    @property
    def telling(self) -> tuple[object, ...]:
        """All that is told; another where something of it has changed."""
        return self.available, self.told, self.label, self.attributes, self.image

    def hear(self, live: Live, now: float) -> None:
        """A frame was answered, at `now` s monotonic; called by the owner's thread, and quick."""
        with self._lock:
            if live.prediction is None:
                self._newest = self._since = None
                return
            before = self._newest.prediction if self._newest is not None else None
            if self._since is None or before is None or before.label != live.prediction.label:
                self._since = now
            self._newest = live

    def step(self, now: float, is_open: bool, state: State) -> None:
        """Decide what is told from `now` s monotonic on.

        Args:
            now: s, monotonic.
            is_open: whether the camera gives pictures.
            state: for names, revision and release.
        """
        with self._lock:
            if not is_open:  # what it showed before says nothing of what it will show when it is back
                self._newest = self._since = None
            newest, since = self._newest, self._since
        steady = since is not None and now - since >= STEADY_S
        self.available = is_open and newest is not None and (steady or self.available)
        names = {one.name for one in state.classes}
        if newest is not None and newest.prediction is not None and labels_of(newest) <= names:
            self._take(newest, steady, now, state)
        self._let_go_of_old_names(names, now, state)

    def _take(self, newest: Live, steady: bool, now: float, state: State) -> None:
        prediction = newest.prediction
        assert prediction is not None, "asked before"  # noqa: S101
        changed = steady and (not self.told or prediction.label != self.label)
        if changed:
            self.told, self.label = True, prediction.label
        same = self.told and prediction.label == self.label
        if changed or (same and self._is_worth_telling(prediction.probability, now)):
            self.attributes, self._attributes_at = attributes_of(newest, state), now
        if self._image_every_s is None or not self.told:
            return
        if changed or now - self._image_at >= self._image_every_s:
            self.image, self._image_at = encode_jpeg(newest.frame.image, IMAGE_PX), now

    def _is_worth_telling(self, probability: float, now: float) -> bool:
        if self.attributes is None or self._stale_since is not None:
            return True
        moved = abs(probability - float(self.attributes["probability"])) >= MOVED
        return moved and now - self._attributes_at >= PAUSE_S

    def _let_go_of_old_names(self, names: Collection[str], now: float, state: State) -> None:
        """A class that was renamed or forgotten is told no longer, also where no camera shows anything new."""
        if self.attributes is None or named_in(self.attributes) <= set(names):
            self._stale_since = None
        elif self._stale_since is None:
            self._stale_since = now
        elif now - self._stale_since >= GONE_S:
            self.label, self._stale_since = None, None
            self.attributes = self.attributes | {
                "label": None,
                "probability": 0.0,
                "unknown_score": 1.0,
                "top": [],
                "revision": state.revision,
                "release": state.release,
            }


def attributes_of(live: Live, state: State) -> Record:
    """What is told with the label of an answer; `label` is null for unknown, which is no class's name."""
    assert live.prediction is not None, "only answers are told"  # noqa: S101
    said = of_prediction(live.frame, live.prediction)
    told = {name: said[name] for name in ("label", "probability", "unknown_score", "top", "taken_at")}
    return told | {"release": state.release, "revision": state.revision}


def labels_of(live: Live) -> set[str]:
    """All names in an answer."""
    prediction = live.prediction
    if prediction is None:
        return set()
    return {label for label in (prediction.label, *(label for label, _ in prediction.top)) if label is not None}


def named_in(attributes: Record) -> set[str]:
    """All names that are told."""
    return {label for label in (attributes["label"], *(one["label"] for one in attributes["top"])) if label is not None}
