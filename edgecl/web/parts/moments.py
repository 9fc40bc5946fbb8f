"""The last moments of a camera: why they were answered so, and what they really were."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from edgecl.daemon.desk import Desk
from edgecl.daemon.moments import Moment
from edgecl.errors import ItemUnknown
from edgecl.insight import Reason
from edgecl.learner import LessonReport
from edgecl.records import of_lesson, of_report
from edgecl.types import Lesson
from edgecl.web.asking import Running, answered, ask
from edgecl.web.parts.classes import Named

router = APIRouter(prefix="/api/v1/cameras/{camera}", tags=["moments"])


@router.get("/why")
async def why(camera: str, daemon: Running) -> dict[str, Any]:
    """Why the camera is answered as it is: nearest examples, margin, distance."""
    found = await ask(daemon, lambda desk: desk.why(camera))
    if found is None:
        raise ItemUnknown(f"found nothing to explain of {camera}, expected an answer; teach something first")
    return _of_reason(found)


@router.get("/moments")
async def moments(camera: str, daemon: Running) -> list[dict[str, Any]]:
    """Frames of the last seconds, newest first."""

    def find(desk: Desk) -> list[Moment]:
        desk.require_camera(camera)
        return desk.moments.of(camera)

    return [
        {
            "moment": one.number,
            "label": one.prediction.label,
            "probability": round(one.prediction.probability, 6),
            "taken_at": one.candidate.taken_at,
        }
        for one in await ask(daemon, find)
    ]


@router.get("/moments/{number}.jpg", response_class=Response)
async def picture(camera: str, number: int, daemon: Running) -> Response:
    """A moment's picture, small."""
    found = await ask(daemon, lambda desk: desk.moments.find(camera, number))
    if found.candidate.thumbnail is None:
        raise ItemUnknown(f"found no picture of moment {number}, expected one; pictures are switched off")
    return Response(found.candidate.thumbnail, media_type="image/jpeg", headers={"cache-control": "no-store"})


@router.post("/moments/{number}")
async def correct(camera: str, number: int, to: Named, daemon: Running) -> dict[str, Any]:
    """Say what a moment showed; it is taught."""

    def teach(desk: Desk) -> Any:
        return desk.teaching.teach_seen(to.label, [desk.moments.find(camera, number).candidate])

    report: LessonReport = await answered(await ask(daemon, teach))
    return of_report(report)


@router.post("/moments/{number}/not")
async def deny(camera: str, number: int, what: Named, daemon: Running) -> dict[str, Any]:
    """Say what a moment did not show."""

    def refuse(desk: Desk) -> Lesson:
        return desk.shelf.deny(what.label, desk.moments.find(camera, number).candidate)

    return of_lesson(await ask(daemon, refuse))


def _of_reason(found: Reason) -> dict[str, Any]:
    nearest = [
        {"example": example, "label": label, "similarity": round(cosine, 4)} for example, label, cosine in found.nearest
    ]
    return {
        "label": found.label,
        "probability": round(found.probability, 6),
        "unknown_score": round(found.unknown_score, 6),
        "margin": None if found.margin is None else round(found.margin, 4),
        "runner_up": found.runner_up,
        "distance": round(found.distance, 4),
        "usual_distance": round(found.usual_distance, 4),
        "nearest": nearest,
    }
