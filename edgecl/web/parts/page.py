"""The page, and the door before it. All addresses are relative: a reverse proxy may show us below any path."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from edgecl.web.access import SESSION, SESSION_S, Access
from edgecl.web.pages import STATIC

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


@router.get("/login")
async def door() -> FileResponse:
    """Where a person shows the token."""
    return FileResponse(STATIC / "login.html", headers={"cache-control": "no-cache"})


@router.get("/favicon.ico")
async def icon() -> FileResponse:
    """A small picture for the tab."""
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Take the token, and give a session for it."""
    access: Access = request.app.state.access
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    shown = form.get("token", [""])[0].strip()
    if not access.is_token(shown):
        return RedirectResponse("login?wrong", 303)
    response = RedirectResponse("./", 303)
    secure = request.url.scheme == "https"
    cookie = access.session(time.time())
    response.set_cookie(  # without a path it is for the folder that the browser sees us in, and for what is below it
        SESSION, cookie, max_age=SESSION_S, path=None, httponly=True, samesite="strict", secure=secure
    )
    return response
