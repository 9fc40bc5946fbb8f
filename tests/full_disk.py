"""A disk without room, as this process meets it."""

from __future__ import annotations

import errno
import os
import sys


class FullDisk:
    """From the n-th call on, nothing that needs room succeeds: new files, folders and links, as a hook sees them."""

    def __init__(self, n):
        self.left, self.on = n, True
        sys.addaudithook(self._hear)

    def _hear(self, event, arguments):
        if not self.on:
            return
        takes_room = event in ("os.mkdir", "os.symlink") or (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & os.O_CREAT
            and arguments[2] & (os.O_TRUNC | os.O_EXCL)
        )
        if takes_room:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device", str(arguments[0]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.on = False  # a hook cannot be taken away
