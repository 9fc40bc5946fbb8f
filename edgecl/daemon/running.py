"""On what the daemon of a home runs the graphs at this moment, by its own word."""

from __future__ import annotations

import json
import time
from http.client import HTTPResponse

from edgecl.daemon.note import Note
from edgecl.errors import DeviceRefused
from edgecl.remote import Device
from edgecl.runtime import Execution

PATIENCE_S = 5.0
ANSWER_BYTES_MAX = 2**22


def running_on(daemon: Note) -> Execution | None:
    """None where it does not say: it hangs, or is of an earlier version."""
    try:
        with Device(daemon.address, daemon.token).asked("/api/v1/state", patience_s=PATIENCE_S) as answer:
            told = json.loads(_read(answer))
        return Execution.model_validate({name: told[name] for name in ("precision", "provider", "threads")})
    except (DeviceRefused, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _read(answer: HTTPResponse) -> bytes:
    """All of it, or as much as came in time."""
    data, end = b"", time.monotonic() + PATIENCE_S
    while (part := answer.read1(ANSWER_BYTES_MAX)) and len(data) < ANSWER_BYTES_MAX and time.monotonic() < end:
        data += part
    return data
