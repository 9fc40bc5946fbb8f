"""Things that nobody taught and that keep coming back."""

from __future__ import annotations

from fastapi import APIRouter, Response
from typing_extensions import TypedDict

from edgecl.errors import ItemUnknown
from edgecl.records import ReportRecord
from edgecl.web.asking import Running, ask, learned
from edgecl.web.bodies import JPEG
from edgecl.web.parts.classes import Named

router = APIRouter(prefix="/api/v1/newcomers", tags=["newcomers"])


class NewcomerRecord(TypedDict):
    """A thing that waits for a name: in how many views, and visits, it was seen."""

    newcomer: int
    views: int
    visits: int
    first_at: float
    last_at: float


@router.get("")
async def newcomers(daemon: Running) -> list[NewcomerRecord]:
    """The things that wait for a name."""
    return [
        {
            "newcomer": group.number,
            "views": len(group.candidates),
            "visits": group.visits,
            "first_at": group.first_at,
            "last_at": group.last_at,
        }
        for group in await ask(daemon, lambda desk: desk.newcomers.asking())
    ]


@router.get("/{number}.jpg", response_class=Response, responses=JPEG)
async def picture(number: int, daemon: Running) -> Response:
    """A picture of it, small."""
    jpeg = await ask(daemon, lambda desk: desk.newcomers.find(number).picture)
    if jpeg is None:
        raise ItemUnknown(f"found no picture of new thing {number}, expected one; pictures are switched off")
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "no-store"})


@router.post("/{number}")
async def name(number: int, to: Named, daemon: Running) -> ReportRecord:
    """Say what it is; all that was seen of it is the lesson."""
    return await learned(daemon, lambda desk: desk.name_newcomer(number, to.label))


@router.delete("/{number}", status_code=204)
async def dismiss(number: int, daemon: Running) -> None:
    """Ask about it no more."""
    await ask(daemon, lambda desk: desk.dismiss_newcomer(number))
