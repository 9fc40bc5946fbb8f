"""Word of a running daemon, left in the home that it holds, for commands that want something of it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from edgecl.files import holder, write_durably
from edgecl.memory.backup import LOCK
from edgecl.remote import is_address

NOTE = "daemon.json"


@dataclass(frozen=True)
class Note:
    """Where a daemon answers.

    Attributes:
        pid: of its process.
        address: `http://HOST:PORT` as this machine reaches it.
        token: to be shown, empty where none is asked for.
    """

    pid: int
    address: str
    token: str = field(repr=False)


def leave(home: Path, address: str, token: str) -> None:
    """Say that this process holds `home`; only its owner may read that.

    Raises:
        StoreUnwritable: the disk refuses.
    """
    record = {"pid": os.getpid(), "address": address, "token": token}
    write_durably(home / NOTE, json.dumps(record).encode("utf-8"))


def take_back(home: Path) -> None:
    """It does no more."""
    (home / NOTE).unlink(missing_ok=True)


def running(home: Path) -> Note | None:
    """The daemon that holds `home` at this moment, None where none does; one that was killed left its word behind."""
    left = found(home)
    return left if left is not None and holder(home / LOCK) == str(left.pid) else None


def found(home: Path) -> Note | None:
    """What the last daemon of `home` left; None where there is nothing that can be read."""
    try:
        record = json.loads((home / NOTE).read_bytes())
        note = Note(int(record["pid"]), str(record["address"]), str(record["token"]))
        return note if is_address(note.address) else None  # of a file, say, in a home that is another's
    except (OSError, ValueError, KeyError, TypeError):
        return None
