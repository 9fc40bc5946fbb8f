"""What stands before every request: the rules of access, the size of its body, and the time that it may take."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgecl.errors import BodyTooLarge
from edgecl.web import bodies
from edgecl.web.access import Access, Question, Refusal
from edgecl.web.refusals import answer, broken_off, ending

SLOW_S = 30.0  # between two pieces of a body
LARGE = (
    (re.compile(r"/api/v1/lessons"), bodies.LESSON_MAX),
    (re.compile(r"/api/v1/(predict|reviews|cameras/[^/]+/frame)"), bodies.PICTURE_MAX),
    (re.compile(r"/api/v1/releases"), bodies.RELEASE_MAX),
    (re.compile(r"/api/v1/memory/restore"), bodies.MEMORY_MAX),
)
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with none at all a browser hides the Origin of our own forms, too
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    ),
)


class Guard:
    """An ASGI middleware: what it does not let through, nobody behind it sees."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        question = Question.of(scope)
        refusal = self._access.refusal(question)
        if scope["type"] == "websocket":
            if refusal is not None:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.message[:120]})
                return
            await self._app(scope, receive, send)
            return
        if refusal is not None:
            await self._refuse(refusal, question, scope, receive, _secured(send))
            return
        limit = _limit(question.path)
        try:
            if _declared(scope) > limit:
                raise _too_large(limit)
            limited = _limited(receive, limit)
            if limit == bodies.JSON_MAX:  # read first: who parses it would take its end for a malformed one
                limited = await _read(limited)
        except BodyTooLarge as error:
            await answer(413, type(error).__name__, str(error))(scope, receive, _secured(send))
            return
        except ClientDisconnect:
            await broken_off()(scope, receive, _secured(send))
            return
        await self._pass_on(scope, limited, _secured(send))

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it be answered; where the server ends before it is, they are told."""
        begun = False

        async def telling(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, telling)
        except asyncio.CancelledError:
            if begun:
                raise
            await ending()(scope, receive, send)

    async def _refuse(self, refusal: Refusal, question: Question, scope: Scope, receive: Receive, send: Send) -> None:
        response: Any = answer(refusal.status, "AccessRefused", refusal.message)
        if refusal.status == 401:
            if question.method == "GET" and question.path == "/":
                from starlette.responses import RedirectResponse

                response = RedirectResponse("login", 303)
            else:
                response.headers["www-authenticate"] = "Bearer"
        if refusal.status == 429:
            response.headers["retry-after"] = "1"
        await response(scope, receive, send)


def _limit(path: str) -> int:
    return next((limit for pattern, limit in LARGE if pattern.fullmatch(path)), bodies.JSON_MAX)


def _declared(scope: Scope) -> int:
    """Bytes of the body, as far as its header tells."""
    told: bytes = dict(scope["headers"]).get(b"content-length", b"0")
    return int(told) if told.isdigit() else 0


def _limited(receive: Receive, limit: int) -> Receive:
    """`receive`, but no more than `limit` bytes of a body, and no waiting for who sends nothing."""
    received, whole = 0, False

    async def limited() -> Message:
        nonlocal received, whole
        if whole:  # what comes next is that they leave, however late
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), SLOW_S)
        except asyncio.TimeoutError:
            return {"type": "http.disconnect"}
        received += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if received > limit:
            raise _too_large(limit)
        return message

    return limited


async def _read(receive: Receive) -> Receive:
    """The same messages, of which those with a body have come already.

    Raises:
        ClientDisconnect: they broke off.
    """
    came: list[Message] = []
    while not came or came[-1].get("more_body", False):
        came.append(await receive())
    if came[-1]["type"] == "http.disconnect":
        raise ClientDisconnect
    waiting = iter(came)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    return again


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"found a body of more than {limit:,} bytes, expected at most so many; send less at once")


def _secured(send: Send) -> Send:
    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS]
        await send(message)

    return secured
