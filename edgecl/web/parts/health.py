"""Whether it runs, and whether it answers frames: for supervisors and people alike."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from edgecl import __version__
from edgecl.web import words
from edgecl.web.access import Access, Question
from edgecl.web.asking import Running

router = APIRouter(tags=["health"])


class AliveRecord(TypedDict):
    """Whether commands are answered."""

    alive: bool


class ReadyRecord(TypedDict):
    """Whether frames are answered, and why not."""

    ready: bool
    reasons: list[str]


class WholeStateRecord(words.StateRecord):
    """Everything at a glance."""

    version: str
    began_at: float
    cameras: list[words.CameraRecord]
    ready: bool


def _unless(answer: type) -> dict[int | str, dict[str, Any]]:
    return {503: {"description": "It is not.", "model": answer}}


@router.get("/healthz", responses=_unless(AliveRecord))
async def alive(daemon: Running, response: Response) -> AliveRecord:
    """200 while the process answers commands, else 503."""
    if daemon.trouble is not None:
        response.status_code = 503
    return {"alive": daemon.trouble is None}


@router.get("/readyz", responses=_unless(ReadyRecord))
async def ready(request: Request, daemon: Running, response: Response) -> ReadyRecord:
    """200 while the model is loaded and every camera gave a picture lately, else 503 with the reasons.

    Where there is a token, who does not show it is told which cameras give no picture, and no more.
    """
    reasons = daemon.not_ready()
    if not reasons:
        return {"ready": True, "reasons": []}
    response.status_code = 503
    access: Access = request.app.state.access
    known = access.knows(Question.of(request.scope))
    return {"ready": False, "reasons": reasons if known else words.of_silence(daemon)}


@router.get("/api/v1/state")
async def state(daemon: Running) -> WholeStateRecord:
    """Everything at a glance: classes, cameras, lessons being given, the release."""
    return {
        "version": __version__,
        "began_at": daemon.began_at,
        "cameras": words.of_cameras(daemon),
        "ready": not daemon.not_ready(),
        **words.of_state(daemon.state, daemon.live),
    }
