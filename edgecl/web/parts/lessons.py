"""Teaching: by holding a button before a camera, or with pictures that are there already; and taking it back."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from edgecl.cameras.jpegs import JpegSplitter
from edgecl.daemon.desk import Desk
from edgecl.daemon.hold import LONGEST_S, Count
from edgecl.errors import ImageRefused, InputRefused
from edgecl.images import decode_image
from edgecl.lesson import PICTURES_MAX
from edgecl.records import LessonRecord, ReportRecord, of_lesson
from edgecl.types import Frame
from edgecl.web import bodies, words
from edgecl.web.asking import Running, ask, learned

router = APIRouter(prefix="/api/v1", tags=["lessons"])

PICTURES = bodies.taken(
    f"One picture of any kind, or at most {PICTURES_MAX} JPEGs one after the other", bodies.LESSON_MAX, *bodies.PICTURES
)

Label = Annotated[str, Field(min_length=1, max_length=200)]


class Begin(BaseModel):
    """A lesson that is to be given."""

    camera: str
    label: Label
    seconds: Annotated[float, Field(gt=0, le=LONGEST_S)] | None = None


@router.get("/lessons")
async def lessons(daemon: Running, limit: Annotated[int, Query(ge=1, le=10_000)] = 50) -> list[LessonRecord]:
    """What was taught and changed, the newest first."""
    return [of_lesson(one) for one in await ask(daemon, lambda desk: desk.shelf.lessons(limit))]


@router.post("/holds", status_code=201)
async def begin(asked: Begin, daemon: Running) -> words.CountRecord:
    """Begin a lesson on a camera.

    With `seconds` it ends by itself; without, whoever began it has to say at least once a second that they still hold,
    on the socket or by `beat`, or it ends.
    """

    def start(desk: Desk) -> Count:
        desk.require_camera(asked.camera)
        return desk.teaching.begin(asked.camera, asked.label, "camera", asked.seconds)

    return words.of_count(await ask(daemon, start))


@router.post("/holds/{number}/beat")
async def beat(number: int, daemon: Running) -> words.CountRecord:
    """The button is still held."""
    return words.of_count(await ask(daemon, lambda desk: desk.teaching.beat(number)))


@router.post("/holds/{number}/end")
async def end(number: int, daemon: Running) -> ReportRecord:
    """Let go: the lesson is committed, learned, and reported."""
    return await learned(daemon, lambda desk: desk.teaching.end(number))


@router.get("/holds/{number}/report")
async def report(number: int, daemon: Running) -> ReportRecord:
    """The report of a lesson, once it has ended by itself and is learned."""
    return await learned(daemon, lambda desk: desk.teaching.ended(number))


@router.delete("/holds/{number}", status_code=204)
async def cancel(number: int, daemon: Running) -> None:
    """Let go, and keep nothing."""
    await ask(daemon, lambda desk: desk.teaching.cancel(number))


@router.post("/lessons", status_code=201, openapi_extra=PICTURES)
async def teach(
    request: Request,
    daemon: Running,
    label: Annotated[str, Query(min_length=1, max_length=200)],
    origin: Literal["api", "camera", "folder"] = "api",
    rejected: Annotated[str, Query(max_length=1000)] = "{}",
) -> ReportRecord:
    """Teach with the pictures in the body.

    `rejected` is for who looked at frames before and left some out: why, with counts, as JSON.
    """
    burst = await ask(daemon, lambda desk: desk.teaching.burst())
    for reason, count in _counts(rejected).items():
        burst.seen += count
        burst.reasons[reason] += count
    pictures = await run_in_threadpool(_pictures, await request.body())
    for number, picture in enumerate(pictures):  # one at a time, so that cameras are answered in between
        image = await run_in_threadpool(decode_image, picture, f"picture {number + 1}")
        frame = Frame(image, 0.0, 0.0, f"api#{number}", number)
        await ask(daemon, lambda desk, frame=frame: burst.add(frame))  # type: ignore[misc]
    return await learned(daemon, lambda desk: desk.teaching.teach(label, burst, origin))


def _counts(text: str) -> dict[str, int]:
    """Counts by reason.

    Raises:
        InputRefused: it is none.
    """
    try:
        found = json.loads(text)
        if all(isinstance(count, int) and 0 <= count < 10**6 and len(reason) < 50 for reason, count in found.items()):
            return dict(found)
    except (ValueError, AttributeError):
        pass
    raise InputRefused(f"found {text[:60]!r} for the rejected, expected counts by reason as JSON; leave it out")


def _pictures(data: bytes) -> list[bytes]:
    """The pictures of a body, not decoded yet.

    Raises:
        InputRefused: they are none, or too many for one lesson.
    """
    if not data:
        return []
    pictures = list(JpegSplitter().feed(data)) if data.startswith(b"\xff\xd8") else [data]
    if not pictures:
        raise ImageRefused("found no whole JPEG in the body, expected pictures; send them again")
    if len(pictures) > PICTURES_MAX:
        raise InputRefused(f"found {len(pictures)} pictures, expected at most {PICTURES_MAX}; give several lessons")
    return pictures


@router.post("/undo")
async def undo(daemon: Running, lesson: Annotated[int, Query(ge=1, lt=2**63)] | None = None) -> LessonRecord:
    """Take back the newest lesson, whatever it was about; with `lesson` only if that is the newest."""
    return of_lesson(await ask(daemon, lambda desk: desk.shelf.undo(lesson)))
