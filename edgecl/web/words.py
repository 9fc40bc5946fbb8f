"""The daemon's values as the API says them. Times are s, UTC since the epoch; shares are in [0, 1]."""

from __future__ import annotations

import time
from collections.abc import Mapping

from typing_extensions import TypedDict

from edgecl.cameras import redact
from edgecl.cameras.process import Phase
from edgecl.daemon.daemon import Daemon
from edgecl.daemon.hold import Count
from edgecl.daemon.snapshots import Live, State
from edgecl.records import ClassRecord, PredictionRecord, of_class, of_prediction


class CountRecord(TypedDict):
    """How far a lesson is; `left_s` until it ends by itself, null where it ends when they let go."""

    hold: int
    label: str
    seen: int
    kept: int
    redundant: int
    rejected: int
    reasons: dict[str, int]
    last: str | None
    left_s: float | None


class LiveRecord(TypedDict):
    """What was made of a camera's newest frame."""

    camera: str
    number: int
    prediction: PredictionRecord | None
    refused: str | None
    trouble: str | None
    fps: float
    age: float
    hold: CountRecord | None


class CoveredClassRecord(ClassRecord):
    """A class, and the example whose picture stands for it."""

    cover: int | None


class SwapRecord(TypedDict):
    """How far a release is that is being installed, in examples embedded."""

    number: int
    stage: str
    done: int
    total: int


class NewsRecord(TypedDict):
    """Something that happened."""

    at: float
    text: str


class BoardRecord(TypedDict):
    """How the board is, and how much is done for it: every so many-th frame, learning or not, and why not all."""

    temperature_c: float | None
    held_back: list[str]
    every: int
    learns: bool
    reason: str | None


class StateRecord(TypedDict):
    """What is known, and what is going on; `holds` by camera."""

    number: int
    revision: int
    classes: list[CoveredClassRecord]
    learning: bool
    holds: dict[str, CountRecord]
    reviews: int
    newcomers: int
    release: int | None
    precision: str
    provider: str
    threads: int
    swap: SwapRecord | None
    mismatch: str | None
    news: list[NewsRecord]
    board: BoardRecord


class CameraRecord(TypedDict):
    """A camera, and how it is; `url` without passwords, `region` the corners of the part that counts, none for all."""

    name: str
    url: str
    pushed: bool
    phase: Phase
    since_s: float
    trouble: str | None
    frames: int
    losses: int
    region: list[list[float]]
    rate_max_hz: float


def of_live(live: Live) -> LiveRecord:
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


def of_count(count: Count) -> CountRecord:
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


def of_state(state: State, lives: Mapping[str, Live]) -> StateRecord:
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
        "precision": state.execution.precision,
        "provider": state.execution.provider,
        "threads": state.execution.threads,
        "swap": None if state.swap is None else _of_swap(*state.swap),
        "mismatch": None if state.answerer.mismatch is None else str(state.answerer.mismatch),
        "news": [{"at": at, "text": text} for at, text in state.news],
        "board": _of_board(state),
    }


def of_classes(state: State) -> list[CoveredClassRecord]:
    """Every class, and the example whose picture stands for it."""
    return [{**of_class(one), "cover": state.covers.get(one.id)} for one in state.classes]


def of_cameras(daemon: Daemon) -> list[CameraRecord]:
    """Every camera, and how it is."""
    now, regions = time.monotonic(), daemon.state.regions
    found: list[CameraRecord] = []
    for name, camera in daemon.cameras.items():
        condition = camera.condition
        found.append(
            {
                "name": name,
                "url": redact(camera.entry.url),
                "pushed": camera.pushed is not None,
                "phase": condition.phase,
                "since_s": round(now - condition.since, 1),
                "trouble": condition.trouble,
                "frames": condition.frames,
                "losses": condition.losses,
                "region": [list(corner) for corner in regions.get(name, ())],
                "rate_max_hz": camera.entry.rate_max_hz,
            }
        )
    return found


def of_silence(daemon: Daemon) -> list[str]:
    """Why frames are not answered, for who may be anybody: no address, and no words of a driver."""
    found = [] if daemon.trouble is None else ["commands are not answered"]
    if not daemon.cameras:
        found.append("no camera is set up")
    return found + [f"{name}: no picture" for name in daemon.silent()]


def _of_board(state: State) -> BoardRecord:
    effort, readings = state.effort, state.board
    return {
        "temperature_c": readings.temperature_c,
        "held_back": list(readings.held_back),
        "every": effort.every,
        "learns": effort.learns,
        "reason": effort.reason,
    }


def _of_swap(number: int, stage: str, done: int, total: int) -> SwapRecord:
    return {"number": number, "stage": stage, "done": done, "total": total}
