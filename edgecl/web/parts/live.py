"""What the cameras show and what is made of it, as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from edgecl.config import Roi
from edgecl.daemon.daemon import Daemon
from edgecl.errors import CameraStalled, CameraUnavailable, EdgeclError
from edgecl.web import words
from edgecl.web.asking import Running, ask, picture_of
from edgecl.web.bodies import A_PICTURE, JPEG, given
from edgecl.web.refusals import answer
from edgecl.web.spread import Spread

router = APIRouter(prefix="/api/v1", tags=["live"])

SOCKETS_MAX = 32
VIEWERS_MAX = 16
WORDS_MAX = 200  # bytes of what a page says on its socket
WORDS_PER_S = 20
STILL_S = 1.0  # something is sent at least so often, so that both sides know of a line that is cut
NO_CAMERA: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such camera."}}
STREAM = given("multipart/x-mixed-replace")


@router.get("/cameras")
async def cameras(daemon: Running) -> list[words.CameraRecord]:
    """Every camera, and how it is."""
    return words.of_cameras(daemon)


@router.get("/cameras/{name}/snapshot.jpg", response_class=Response, responses=NO_CAMERA | JPEG)
async def snapshot(name: str, request: Request, daemon: Running) -> Response:
    """The newest picture, a JPEG."""
    spread: Spread = request.app.state.spread
    daemon.camera(name)
    picture = await spread.picture(name)
    if picture is None:
        raise CameraStalled(f"found no picture of {name} yet, expected one; see /readyz for the reason")
    return Response(picture.jpeg, media_type="image/jpeg", headers={"cache-control": "no-store"})


@router.get("/cameras/{name}/stream.mjpg", response_class=StreamingResponse, responses=NO_CAMERA | STREAM)
async def stream(
    name: str, request: Request, daemon: Running, fps: Annotated[float, Query(gt=0, le=60)] = 15.0
) -> Response:
    """Pictures one after the other, as `<img>` and most camera programs read them."""
    spread: Spread = request.app.state.spread
    state = request.app.state
    daemon.camera(name)
    if getattr(state, "viewers", 0) >= VIEWERS_MAX:
        return answer(503, "TooManyViewers", f"found {VIEWERS_MAX} who look already, expected fewer; try again later")
    state.viewers = getattr(state, "viewers", 0) + 1

    async def parts() -> AsyncIterator[bytes]:
        try:
            async for jpeg in _pictures(spread, daemon, name, fps):
                size = str(len(jpeg)).encode("ascii")
                yield b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: " + size + b"\r\n\r\n" + jpeg + b"\r\n"
        finally:
            state.viewers -= 1

    kind = "multipart/x-mixed-replace; boundary=frame"
    return StreamingResponse(parts(), media_type=kind, headers={"cache-control": "no-store"})


async def _pictures(spread: Spread, daemon: Daemon, camera: str, fps: float) -> AsyncIterator[bytes]:
    loop, number, due = asyncio.get_running_loop(), 0, 0.0
    while camera in daemon.cameras:
        news, live = spread.count, daemon.live.get(camera)
        if live is None or live.number <= number:
            await spread.change(news, STILL_S)
            continue
        if loop.time() < due:
            await asyncio.sleep(due - loop.time())
        picture = await spread.picture(camera)
        if picture is not None and picture.number > number:
            number, due = picture.number, max(due + 1.0 / fps, loop.time() - 1.0 / fps)
            yield picture.jpeg


@router.put("/cameras/{name}/frame", status_code=204, responses=NO_CAMERA, openapi_extra=A_PICTURE)
async def push(name: str, request: Request, daemon: Running) -> None:
    """Hand a picture to a camera of the kind `browser:`."""
    pushed = daemon.camera(name).pushed
    if pushed is None:
        raise CameraUnavailable(f"found {name}, which is read here, expected a camera of the kind browser:")
    pushed.push(await picture_of(request, name))


class Part(BaseModel):
    """The part of a picture that counts; None for what edgecl.toml says.

    A rectangle [left, top, right, bottom], or corners [[x, y], …], in shares of the picture.
    """

    region: Roi


@router.put("/cameras/{name}/region", status_code=204, responses=NO_CAMERA)
async def region(name: str, part: Part, daemon: Running) -> None:
    """Let only a part of the camera's pictures count, from now on and after the next start."""
    await run_in_threadpool(daemon.set_region, name, part.region)


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Every answer and every change, as JSON: {"live": …} and {"state": …}.

    A page that gives a lesson says so, {"beat": NUMBER}, at least every second; when its socket ends, it is over.
    """
    daemon: Daemon = socket.app.state.daemon
    spread: Spread = socket.app.state.spread
    state = socket.app.state
    if getattr(state, "sockets", 0) >= SOCKETS_MAX:
        await socket.close(1013, "too many listeners")
        return
    state.sockets = getattr(state, "sockets", 0) + 1
    held: set[int] = set()
    try:
        await socket.accept()
        hearing = asyncio.create_task(_hear(socket, daemon, held))
        telling = asyncio.create_task(_tell(socket, daemon, spread))
        _, left = await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        for task in (hearing, telling):
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await task
    finally:
        state.sockets -= 1
        for number in held:
            with contextlib.suppress(EdgeclError):
                await ask(daemon, lambda desk, number=number: desk.teaching.end(number))  # type: ignore[misc]


async def _tell(socket: WebSocket, daemon: Daemon, spread: Spread) -> None:
    loop = asyncio.get_running_loop()
    seen: dict[str, int] = {}
    known, said = -1, 0.0
    conditions = ""
    while True:
        news, state, lives = spread.count, daemon.state, daemon.live
        cameras = words.of_cameras(daemon)
        now_conditions = json.dumps([(one["name"], one["phase"], one["trouble"]) for one in cameras])
        if state.number != known or now_conditions != conditions:
            known, conditions, said = state.number, now_conditions, loop.time()
            await socket.send_json({"state": words.of_state(state, lives) | {"cameras": cameras}})
        for camera, found in lives.items():
            if found.number > seen.get(camera, 0):
                seen[camera], said = found.number, loop.time()
                await socket.send_json({"live": words.of_live(found)})
        if loop.time() - said >= STILL_S:
            said = loop.time()
            await socket.send_json({"still": said})
        await spread.change(news, STILL_S / 2)


async def _hear(socket: WebSocket, daemon: Daemon, held: set[int]) -> None:
    loop = asyncio.get_running_loop()
    since, words_said = loop.time(), 0
    while True:
        said = await socket.receive()
        if said["type"] == "websocket.disconnect":
            return
        text = said.get("text") or ""
        if loop.time() - since > 1.0:
            since, words_said = loop.time(), 0
        words_said += 1
        if words_said > WORDS_PER_S or len(text or said.get("bytes") or "") > WORDS_MAX:
            await socket.close(1008, "too much said")
            return
        with contextlib.suppress(ValueError, OverflowError, KeyError, TypeError, EdgeclError):
            number = int(json.loads(text)["beat"])
            await ask(daemon, lambda desk, number=number: desk.teaching.beat(number))  # type: ignore[misc]
            held.add(number)
