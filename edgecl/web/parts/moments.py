"""The last moments of a camera: why they were answered so, and what they really were."""

from __future__ import annotations

from concurrent.futures import Future

from fastapi import APIRouter, Response
from typing_extensions import TypedDict

from edgecl.daemon.desk import Desk
from edgecl.daemon.moments import Moment
from edgecl.errors import ItemUnknown
from edgecl.insight import Reason
from edgecl.learner import LessonReport
from edgecl.records import LessonRecord, ReportRecord, of_lesson
from edgecl.types import Lesson
from edgecl.web.asking import Running, ask, learned
from edgecl.web.bodies import JPEG
from edgecl.web.parts.classes import Named

router = APIRouter(prefix="/api/v1/cameras/{camera}", tags=["moments"])


class MomentRecord(TypedDict):
    """A frame of the last seconds, and what it was answered with."""

    moment: int
    label: str | None
    probability: float
    taken_at: float


class NearRecord(TypedDict):
    """An example that is nearly alike; `similarity` is a cosine."""

    example: int
    label: str
    similarity: float


class ReasonRecord(TypedDict):
    """Why a frame was answered as it was: `margin` in logits to the runner-up, distances squared to class means."""

    label: str | None
    probability: float
    unknown_score: float
    margin: float | None
    runner_up: str | None
    distance: float
    usual_distance: float
    nearest: list[NearRecord]


@router.get("/why")
async def why(camera: str, daemon: Running) -> ReasonRecord:
    """Why the camera is answered as it is: nearest examples, margin, distance."""
    found = await ask(daemon, lambda desk: desk.why(camera))
    if found is None:
        raise ItemUnknown(f"found nothing to explain of {camera}, expected an answer; teach something first")
    return _of_reason(found)


@router.get("/moments")
async def moments(camera: str, daemon: Running) -> list[MomentRecord]:
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


@router.get("/moments/{number}.jpg", response_class=Response, responses=JPEG)
async def picture(camera: str, number: int, daemon: Running) -> Response:
    """A moment's picture, small."""
    found = await ask(daemon, lambda desk: desk.moments.find(camera, number))
    if found.candidate.thumbnail is None:
        raise ItemUnknown(f"found no picture of moment {number}, expected one; pictures are switched off")
    return Response(found.candidate.thumbnail, media_type="image/jpeg", headers={"cache-control": "no-store"})


@router.post("/moments/{number}")
async def correct(camera: str, number: int, to: Named, daemon: Running) -> ReportRecord:
    """Say what a moment showed; it is taught."""

    def teach(desk: Desk) -> Future[LessonReport]:
        return desk.teaching.teach_seen(to.label, [desk.moments.find(camera, number).candidate])

    return await learned(daemon, teach)


@router.post("/moments/{number}/not")
async def deny(camera: str, number: int, what: Named, daemon: Running) -> LessonRecord:
    """Say what a moment did not show."""

    def refuse(desk: Desk) -> Lesson:
        return desk.shelf.deny(what.label, desk.moments.find(camera, number).candidate)

    return of_lesson(await ask(daemon, refuse))


def _of_reason(found: Reason) -> ReasonRecord:
    nearest: list[NearRecord] = [
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
