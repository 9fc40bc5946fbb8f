"""The settings that are in force."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from edgecl.cameras import redact
from edgecl.web.asking import Running

router = APIRouter(prefix="/api/v1", tags=["health"])


@router.get("/config")
async def config(daemon: Running) -> dict[str, Any]:
    """What edgecl.toml and the command line said last, without passwords; the file itself is changed by its owner."""
    settings = daemon.home.settings.model_dump(mode="json")
    cameras = [
        camera.entry.model_dump(mode="json") | {"name": name, "url": redact(camera.entry.url)}
        for name, camera in daemon.cameras.items()
    ]
    return settings | {"cameras": cameras}
