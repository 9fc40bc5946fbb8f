"""The daemon's values as the API says them. Times are s, UTC since the epoch; shares are in [0, 1]."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from edgecl.daemon.daemon import Daemon
from edgecl.daemon.hold import Count
from edgecl.daemon.snapshots import Live, State
from edgecl.records import of_class, of_prediction

Record = dict[str, Any]


def of_live(live: Live) -> Record:
    """What was made of a camera's newest frame."""
    prediction = live.prediction
    return {
        "camera": live.camera,
        "number": live.number,
        "prediction": None if prediction is None else of_prediction(live.frame, prediction),
        "refused": live.refused,
        "trouble": live.trouble,
        "fps": round(live.fps, 2),
        "age": round(live.age_s, 4),
        "hold": None if live.hold is None else of_count(live.hold),
    }


def of_count(count: Count) -> Record:
    """How far a lesson is."""
    return {
        "hold": count.hold,
        "label": count.label,
        "seen": count.seen,
        "kept": count.kept,
        "redundant": count.redundant,
        "rejected": sum(count.reasons.values()),
        "reasons": dict(count.reasons),
        "last": count.last,
        "left_s": None if count.left_s is None else round(count.left_s, 2),
    }


def of_state(state: State, lives: Mapping[str, Live]) -> Record:
    """What is known, and what is going on."""
    newest = {name: live.hold for name, live in lives.items() if live.hold is not None}
    holds = {name: newest.get(name, count) for name, count in state.holds.items()}
    return {
        "number": state.number,
        "revision": state.revision,
        "classes": of_classes(state),
        "learning": state.learning,
        "holds": {camera: of_count(count) for camera, count in holds.items()},
        "reviews": state.reviews,
        "newcomers": state.newcomers,
        "release": state.release,
        "precision": state.precision,
        "swap": None
        if state.swap is None
        else dict(zip(("number", "stage", "done", "total"), state.swap, strict=True)),
        "mismatch": None if state.answerer.mismatch is None else str(state.answerer.mismatch),
        "news": [{"at": at, "text": text} for at, text in state.news],
    }


def of_classes(state: State) -> list[Record]:
    """Every class, and the example whose picture stands for it."""
    return [of_class(one) | {"cover": state.covers.get(one.id)} for one in state.classes]


def of_cameras(daemon: Daemon) -> list[Record]:
    """Every camera, and how it is."""
    now, regions = time.monotonic(), daemon.state.regions
    found = []
    for name, entry in daemon.cameras.items():
        condition = daemon.condition(name)
        found.append(
            {
                "name": name,
                "pushed": daemon.pushed(name) is not None,
                "phase": condition.phase,
                "since_s": round(now - condition.since, 1),
                "trouble": condition.trouble,
                "frames": condition.frames,
                "losses": condition.losses,
                "region": [list(corner) for corner in regions.get(name, ())],
                "rate_max_hz": entry.rate_max_hz,
            }
        )
    return found
