"""Releases of this home: listed, sent in, installed, rolled back; and what consolidation has come to."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field, TypeAdapter
from starlette.concurrency import run_in_threadpool
from typing_extensions import TypedDict

from edgecl.daemon.daemon import Daemon
from edgecl.errors import ItemUnknown
from edgecl.records import ReleaseRecord, SwitchedRecord, of_release, of_switched
from edgecl.releases.bundle import Bundle, open_source
from edgecl.releases.document import DOCUMENT_FILE
from edgecl.releases.installing import receive
from edgecl.releases.listing import release_of, releases_of
from edgecl.releases.slots import release_folder
from edgecl.releases.verification import Verified
from edgecl.web.asking import LONG_S, Running, answered, ask
from edgecl.web.bodies import RELEASE_MAX, given, taken

router = APIRouter(prefix="/api/v1", tags=["releases"])

PICTURE, REPORT, CONSOLIDATION = "report.png", "report.md", "consolidation"
A_RELEASE = taken("A release as a single file", RELEASE_MAX, "application/zip")


class Rollback(BaseModel):
    """Why the release before is to come back."""

    reason: str = Field("asked for on the page", min_length=1, max_length=500)


class ReportedReleaseRecord(ReleaseRecord):
    """A release, and whether there is a picture of what a consolidation did to make it."""

    report: bool


class ActiveRecord(TypedDict):
    """The number of the release that runs now."""

    active_now: int


class ConsolidatedRecord(TypedDict):
    """What the last consolidation here came to."""

    recipe: str
    accepted: bool
    reason: str
    accuracy_before: float
    accuracy_after: float
    at: float


class ConsolidationRecord(TypedDict):
    """How many lessons make it time for the next consolidation, how many came since the last, and what that was."""

    due_lessons: int
    new_lessons: int
    last: ConsolidatedRecord | None


CONSOLIDATED = TypeAdapter(ConsolidatedRecord)


@router.get("/releases")
async def releases(daemon: Running) -> list[ReportedReleaseRecord]:
    """All releases, by rising number."""
    home = daemon.home.folder
    return [
        {**of_release(one), "report": (release_folder(home, one.entry.number) / PICTURE).is_file()}
        for one in await run_in_threadpool(releases_of, home)
    ]


@router.post("/releases", status_code=201, openapi_extra=A_RELEASE)
async def bring(request: Request, daemon: Running) -> ReleaseRecord:
    """Send a release in, as a single file; it is verified by this device's own trust, and waits to be installed."""
    data = await request.body()

    def take_in() -> Verified:
        return receive(daemon.home.folder, Bundle(data, "the body"), daemon.home.settings)

    verified = await run_in_threadpool(take_in)
    number = verified.document.number
    return of_release(await run_in_threadpool(release_of, daemon.home.folder, number))


@router.post("/releases/{number}/install")
async def install(number: int, daemon: Running) -> SwitchedRecord:
    """Change to a release of this home, in trial; frames are answered meanwhile."""

    def verify() -> Verified:
        release_of(daemon.home.folder, number)
        folder = release_folder(daemon.home.folder, number)
        unsigned = not (folder / "release.sig").exists()  # made here, and never sent anywhere
        return receive(daemon.home.folder, open_source(folder), daemon.home.settings, unsigned)

    verified = await run_in_threadpool(verify)
    done = await ask(daemon, lambda desk: desk.releases.begin(number, verified.files))
    return of_switched(await answered(done, LONG_S))


@router.post("/releases/rollback")
async def roll_back(asked: Rollback, daemon: Running) -> ActiveRecord:
    """Go back to the release before, with its own head."""
    return {"active_now": await ask(daemon, lambda desk: desk.releases.roll_back(asked.reason))}


@router.get("/releases/{number}/report.png", response_class=FileResponse, responses=given("image/png"))
async def picture(number: int, daemon: Running) -> Response:
    """The picture of what a consolidation did to every class."""
    return FileResponse(_file(daemon, number, PICTURE), media_type="image/png")


@router.get("/releases/{number}/report.md", response_class=FileResponse, responses=given("text/markdown"))
async def report(number: int, daemon: Running) -> Response:
    """The report of a consolidation."""
    return FileResponse(_file(daemon, number, REPORT), media_type="text/markdown; charset=utf-8")


@router.get("/consolidation/report.png", response_class=FileResponse, responses=given("image/png"))
async def last_picture(daemon: Running) -> Response:
    """The picture of the last consolidation here, also of one that was refused."""
    path = daemon.home.folder / CONSOLIDATION / PICTURE
    if not path.is_file():
        raise ItemUnknown("found no report of a consolidation, expected one; run: edgecl consolidate")
    return FileResponse(path, media_type="image/png")


@router.get("/consolidation")
async def consolidation(daemon: Running) -> ConsolidationRecord:
    """When the tail was last trained further, and how many lessons came since."""
    folder = daemon.home.folder / CONSOLIDATION

    def read() -> ConsolidatedRecord | None:
        try:
            told = json.loads((folder / "acceptance.json").read_bytes())
            at = (folder / "acceptance.json").stat().st_mtime
            return CONSOLIDATED.validate_python(told | {"at": at})
        except (OSError, ValueError, TypeError):
            return None

    last = await run_in_threadpool(read)
    since = 0.0 if last is None else last["at"]
    lessons = await ask(daemon, lambda desk: desk.shelf.lessons(after=since))
    new = sum(one.kind == "teach" and one.undone_at is None for one in lessons)
    return {"due_lessons": daemon.home.settings.consolidation.due_lessons, "new_lessons": new, "last": last}


def _file(daemon: Daemon, number: int, name: str) -> Any:
    folder = release_folder(daemon.home.folder, max(number, 0))
    if number < 1 or not (folder / DOCUMENT_FILE).is_file() or not (folder / name).is_file():
        raise ItemUnknown(f"found no {name} of release {number}, expected one made by a consolidation")
    return folder / name
