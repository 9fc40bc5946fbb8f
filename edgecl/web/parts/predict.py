"""What is in a picture that is sent."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from edgecl.records import PredictionRecord, of_prediction
from edgecl.types import Frame
from edgecl.web.asking import Running, picture_of
from edgecl.web.bodies import A_PICTURE

router = APIRouter(prefix="/api/v1", tags=["predict"])


@router.post("/predict", openapi_extra=A_PICTURE)
async def predict(request: Request, daemon: Running) -> PredictionRecord:
    """The answer for the picture in the body."""
    frame = Frame(await picture_of(request, "the picture"), time.time(), time.monotonic(), "api", 0)
    return of_prediction(frame, await run_in_threadpool(daemon.state.answerer.predict, frame))
