"""The settings that are in force."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from edgecl.cameras import redact
from edgecl.web.asking import Running

router = APIRouter(prefix="/api/v1", tags=["health"])


@router.get("/config")
async def config(daemon: Running) -> dict[str, Any]:
    """What edgecl.toml and the command line say, without passwords; the file itself is changed by its owner."""
    settings = daemon.home.settings.model_dump(mode="json")
    cameras = [
        entry.model_dump(mode="json") | {"name": name, "url": redact(entry.url)}
        for name, entry in daemon.cameras.items()
    ]
    return settings | {"cameras": cameras}
