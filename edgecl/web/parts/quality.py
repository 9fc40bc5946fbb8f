"""How good the memory is, and what would make it better."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from edgecl.heads import fit_of
from edgecl.insight import Insight
from edgecl.web.asking import Running, ask

router = APIRouter(prefix="/api/v1", tags=["quality"])
_looking = asyncio.Lock()


@router.get("/quality")
async def quality(request: Request, daemon: Running) -> dict[str, Any]:
    """Accuracy and advice for each class, what is mixed up with what, what looks mislabelled, a map of all examples."""
    view, recogniser = await ask(daemon, lambda desk: desk.shelf.learned())
    async with _looking:  # two fits for each state of the memory, however many ask
        known = getattr(request.app.state, "insight", None)
        if known is None or known[0] is not view or known[1] is not recogniser:
            fit = fit_of(daemon.home.settings.head.name)
            known = view, recogniser, await run_in_threadpool(Insight.of, view, recogniser, fit)
            request.app.state.insight = known
    return _of_insight(known[2])


def _of_insight(insight: Insight) -> dict[str, Any]:
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
