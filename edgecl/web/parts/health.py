"""Whether it runs, and whether it answers frames: for supervisors and people alike."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from edgecl import __version__
from edgecl.web import words
from edgecl.web.asking import Running

router = APIRouter(tags=["health"])
UNWELL: dict[int | str, dict[str, Any]] = {503: {"description": "It is not, and why", "model": dict[str, Any]}}


@router.get("/healthz", responses=UNWELL)
async def alive(daemon: Running, response: Response) -> dict[str, Any]:
    """200 while the process answers commands, else 503."""
    if daemon.trouble is not None:
        response.status_code = 503
    return {"alive": daemon.trouble is None}


@router.get("/readyz", responses=UNWELL)
async def ready(request: Request, daemon: Running, response: Response) -> dict[str, Any]:
    """200 while the model is loaded and every camera gave a picture lately, else 503 with the reasons."""
    reasons = daemon.not_ready()
    if reasons:
        response.status_code = 503
    return {"ready": not reasons, "reasons": reasons}


@router.get("/api/v1/state")
async def state(daemon: Running) -> dict[str, Any]:
    """Everything at a glance: classes, cameras, lessons being given, the release."""
    return {
        "version": __version__,
        "began_at": daemon.began_at,
        "cameras": words.of_cameras(daemon),
        "ready": not daemon.not_ready(),
        **words.of_state(daemon.state, daemon.live),
    }
