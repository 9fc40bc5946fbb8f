"""Frames that nobody is sure about: looked at by a person, named or dropped."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from typing_extensions import TypedDict

from edgecl.records import ReportRecord, ReviewRecord, of_review
from edgecl.types import Frame
from edgecl.web.asking import Running, ask, learned, picture_of
from edgecl.web.bodies import A_PICTURE, JPEG
from edgecl.web.parts.classes import NOT_KEPT, Named

router = APIRouter(prefix="/api/v1/reviews", tags=["reviews"])


class KeptRecord(TypedDict):
    """The number of the frame that waits, null where the settings keep none."""

    review: int | None


@router.get("")
async def reviews(daemon: Running) -> list[ReviewRecord]:
    """The frames that wait, oldest first."""
    return [of_review(one) for one in await ask(daemon, lambda desk: desk.shelf.reviews())]


@router.post("", status_code=201, openapi_extra=A_PICTURE)
async def keep(
    request: Request,
    daemon: Running,
    camera: Annotated[str, Query(max_length=1000)] = "api",
    taken_at: Annotated[float, Query(ge=0, allow_inf_nan=False)] | None = None,
) -> KeptRecord:
    """Let a picture wait, whatever the answer for it."""
    image = await picture_of(request, "the body")
    frame = Frame(image, time.time() if taken_at is None else taken_at, time.monotonic(), camera)
    return {"review": await ask(daemon, lambda desk: desk.keep_for_review(frame))}


@router.get("/{number}.jpg", response_class=Response, responses=JPEG)
async def picture(number: int, daemon: Running) -> Response:
    """A frame's picture, small."""
    jpeg = await ask(daemon, lambda desk: desk.shelf.review_picture(number))
    return Response(jpeg, media_type="image/jpeg", headers=NOT_KEPT)


@router.post("/{number}")
async def label(number: int, to: Named, daemon: Running) -> ReportRecord:
    """Say what a frame shows; it is taught, and waits no more."""
    return await learned(daemon, lambda desk: desk.teaching.teach_review(number, to.label))


@router.delete("/{number}", status_code=204)
async def drop(number: int, daemon: Running) -> None:
    """Let a frame wait no more, and teach nothing."""
    await ask(daemon, lambda desk: desk.shelf.drop_review(number))
