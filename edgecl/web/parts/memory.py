"""The memory as one file: taken away, and put back."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from typing_extensions import TypedDict

from edgecl.errors import InputRefused, StoreDamaged
from edgecl.web import bodies
from edgecl.web.asking import LONG_S, Running, answered

router = APIRouter(prefix="/api/v1/memory", tags=["memory"])


BACKUP = "application/vnd.sqlite3"


class RestoredRecord(TypedDict):
    """The classes that are known now, and the file in the home that holds what was known before."""

    classes: list[str]
    kept: str | None


@router.get("/backup", response_class=FileResponse, responses=bodies.given("application/octet-stream"))
async def backup(daemon: Running) -> FileResponse:
    """What `edgecl backup` writes: a checked copy of the memory as it is now."""
    folder = tempfile.TemporaryDirectory(dir=daemon.home.folder, prefix=".backup-")
    path = Path(folder.name, "memory.backup")

    def write() -> None:
        with daemon.home.store(writable=False) as store:  # beside the owner, who goes on
            store.backup(path)

    try:
        await run_in_threadpool(write)
    except BaseException:
        folder.cleanup()
        raise
    name = time.strftime("edgecl-%Y%m%d-%H%M%S.backup")
    return FileResponse(
        path, media_type="application/octet-stream", filename=name, background=BackgroundTask(folder.cleanup)
    )


@router.post("/restore", openapi_extra=bodies.taken("A backup", bodies.MEMORY_MAX, BACKUP))
async def restore(request: Request, daemon: Running) -> RestoredRecord:
    """Put a backup in the place of the memory; what it replaces is kept beside it."""
    async with _received(request, daemon.home.folder) as path:
        try:
            kept = await answered(daemon.restore(path), LONG_S)
        except StoreDamaged as error:  # what was sent is, not what is here
            raise InputRefused(str(error).replace(str(path), "what was sent")) from error
    return {"classes": [one.name for one in daemon.state.classes], "kept": None if kept is None else kept.name}


@contextlib.asynccontextmanager
async def _received(request: Request, folder: Path) -> AsyncIterator[Path]:
    """The body as a file."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".restore-", delete=False) as file:
        path = Path(file.name)
        try:
            async for piece in request.stream():
                await run_in_threadpool(file.write, piece)
            file.flush()
            yield path
        finally:
            path.unlink(missing_ok=True)
