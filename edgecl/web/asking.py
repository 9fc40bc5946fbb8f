"""How the API reaches the daemon: commands are awaited, pictures are read within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated, TypeVar

import numpy as np
from fastapi import Depends, Request
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from edgecl.daemon.daemon import Daemon
from edgecl.daemon.desk import Desk
from edgecl.daemon.owner import SLOW, ended, given_up
from edgecl.errors import NoAnswer
from edgecl.images import decode_image
from edgecl.learner import LessonReport
from edgecl.records import ReportRecord, of_report

PATIENCE_S = 60.0
LONG_S = 600.0  # a lesson among a thousand classes, a release, a backup put back: on a slow board
Result = TypeVar("Result")


def daemon_of(request: Request) -> Daemon:
    """The daemon that this application shows."""
    found: Daemon = request.app.state.daemon
    return found


Running = Annotated[Daemon, Depends(daemon_of)]


async def ask(daemon: Daemon, command: Callable[[Desk], Result]) -> Result:
    """What the owner of the memory answers.

    Raises:
        NoAnswer: nothing came in time.
        EdgeclError: what the command raises.
    """
    future = daemon.ask(command)
    try:
        return await answered(future)
    except NoAnswer as error:
        raise given_up(future) from error


async def learned(daemon: Daemon, teach: Callable[[Desk], Future[LessonReport]]) -> ReportRecord:
    """The report of a lesson, once it is learned.

    Raises:
        EdgeclError: what the command raises, or learning does.
    """
    return of_report(await answered(await ask(daemon, teach), LONG_S))


async def answered(future: Future[Result], patience_s: float = PATIENCE_S) -> Result:
    """What comes of `future`; whoever asked and left does not stop it.

    Raises:
        NoAnswer: nothing came in time.
        DaemonEnded: nothing will come.
        EdgeclError: what it raises.
    """
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), patience_s)
    except asyncio.TimeoutError as error:
        raise NoAnswer(SLOW) from error
    except asyncio.CancelledError as error:
        if not future.cancelled():
            raise
        raise ended() from error


async def picture_of(request: Request, name: str) -> NDArray[np.uint8]:
    """The picture in the body, uint8 (H, W, 3) BGR.

    Raises:
        ImageRefused: it is none.
    """
    data = await request.body()
    return await run_in_threadpool(decode_image, data, name)
