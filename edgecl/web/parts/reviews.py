"""Frames that nobody is sure about: looked at by a person, named or dropped."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from edgecl.records import of_report, of_review
from edgecl.web.asking import Running, answered, ask
from edgecl.web.parts.classes import NOT_KEPT, Named

router = APIRouter(prefix="/api/v1/reviews", tags=["reviews"])


@router.get("")
async def reviews(daemon: Running) -> list[dict[str, Any]]:
    """The frames that wait, oldest first."""
    return [of_review(one) for one in await ask(daemon, lambda desk: desk.shelf.reviews())]


@router.get("/{number}.jpg", response_class=Response)
async def picture(number: int, daemon: Running) -> Response:
    """A frame's picture, small."""
    jpeg = await ask(daemon, lambda desk: desk.shelf.review_picture(number))
    return Response(jpeg, media_type="image/jpeg", headers=NOT_KEPT)


@router.post("/{number}")
async def label(number: int, to: Named, daemon: Running) -> dict[str, Any]:
    """Say what a frame shows; it is taught, and waits no more."""
    return of_report(await answered(await ask(daemon, lambda desk: desk.teaching.teach_review(number, to.label))))


@router.delete("/{number}", status_code=204)
async def drop(number: int, daemon: Running) -> None:
    """Let a frame wait no more, and teach nothing."""
    await ask(daemon, lambda desk: desk.shelf.drop_review(number))
