"""Our errors as answers of HTTP: a status, and the words that say what was found, what was expected and what to do."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from edgecl import errors
from edgecl.errors import EdgeclError


class Refused(BaseModel):
    """What a refusal says: which kind of error, and what was found, expected and is to be done."""

    error: str
    message: str


# The first that fits.
STATUSES: tuple[tuple[type[EdgeclError], int], ...] = (
    (errors.NothingKept, 422),
    (errors.NothingToUndo, 409),
    (errors.NotLearned, 404),
    (errors.LessonOver, 410),
    (errors.Busy, 409),
    (errors.CameraUnavailable, 404),
    (errors.CameraError, 503),
    (errors.BodyTooLarge, 413),
    (errors.InputRefused, 422),
    (errors.ReleaseRefused, 422),
    (errors.ReleaseError, 409),
    (errors.BackboneMismatch, 409),
    (errors.StoreUnwritable, 507),
    (errors.StoreBusy, 503),
    (errors.DaemonEnded, 503),
    (errors.NoAnswer, 503),
    (errors.ConfigRefused, 422),
)


def status_of(error: EdgeclError) -> int:
    """The status that an error is answered with."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def answer(status: int, kind: str, message: str) -> JSONResponse:
    """A refusal as every one looks."""
    return JSONResponse({"error": kind, "message": message}, status)


def broken_off() -> JSONResponse:
    """The refusal of a body that came to a halt; who is gone does not hear it."""
    return answer(408, "BodyBroken", "found a body that came to a halt, expected all of it; send it again")


def ending() -> JSONResponse:
    """What is said to who waited for something when the daemon had to end."""
    return answer(
        503, "DaemonEnded", "found the daemon ending before it was done, expected it to run; look whether it was done"
    )


def install(app: FastAPI) -> None:
    """Let `app` answer with our words, also where the framework refuses."""

    @app.exception_handler(EdgeclError)
    async def refused(request: Request, error: EdgeclError) -> JSONResponse:
        return answer(status_of(error), type(error).__name__, str(error))

    @app.exception_handler(ClientDisconnect)
    async def left(request: Request, error: ClientDisconnect) -> JSONResponse:
        return broken_off()

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
        return answer(422, "RequestMalformed", f"found a request that does not fit: {faults[:1000]}; see /openapi.json")

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        words = {
            404: "found nothing here, expected a path of /openapi.json",
            405: "found a method not meant for this path",
        }
        return answer(error.status_code, "HttpError", words.get(error.status_code, str(error.detail)))
