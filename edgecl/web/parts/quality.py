"""How good the memory is, and what would make it better."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from typing_extensions import TypedDict

from edgecl.heads import fit_of
from edgecl.insight import Insight
from edgecl.web.asking import Running, ask

router = APIRouter(prefix="/api/v1", tags=["quality"])
_looking = asyncio.Lock()


class AdvisedClassRecord(TypedDict):
    """How well a class is known, and what to do about it."""

    label: str
    id: int
    examples: int
    accuracy: float | None
    advice: str | None


class ConfusionRecord(TypedDict):
    """Left-out examples by class (rows) and answer (columns), both in the order of `labels`."""

    labels: list[str]
    counts: list[list[int]]


class SuspectRecord(TypedDict):
    """An example that a head which did not see it answered with another class, and how surely."""

    example: int
    label: str
    answered: str
    probability: float


class PointRecord(TypedDict):
    """Where an example is on the map; x and y are in [0, 1]."""

    example: int
    label: str
    x: float
    y: float


class QualityRecord(TypedDict):
    """How good the memory is."""

    classes: list[AdvisedClassRecord]
    confusion: ConfusionRecord
    suspects: list[SuspectRecord]
    map: list[PointRecord]


@router.get("/quality")
async def quality(request: Request, daemon: Running) -> QualityRecord:
    """Accuracy and advice for each class, what is mixed up with what, what looks mislabelled, a map of all examples."""
    view, recogniser = await ask(daemon, lambda desk: desk.shelf.learned())
    async with _looking:  # two fits for each state of the memory, however many ask
        known = getattr(request.app.state, "insight", None)
        if known is None or known[0] is not view or known[1] is not recogniser:
            fit = fit_of(daemon.home.settings.head.name)
            known = view, recogniser, await run_in_threadpool(Insight.of, view, recogniser, fit)
            request.app.state.insight = known
    return _of_insight(known[2])


def _of_insight(insight: Insight) -> QualityRecord:
    return {
        "classes": [
            {
                "label": one.label,
                "id": one.class_id,
                "examples": one.examples,
                "accuracy": one.accuracy,
                "advice": one.advice,
            }
            for one in insight.classes
        ],
        "confusion": {"labels": [one.label for one in insight.classes], "counts": insight.confusion.tolist()},
        "suspects": [
            {
                "example": one.example,
                "label": one.label,
                "answered": one.answered,
                "probability": round(one.probability, 4),
            }
            for one in insight.suspects
        ],
        "map": [{"example": one.example, "label": one.label, "x": one.x, "y": one.y} for one in insight.points],
    }
