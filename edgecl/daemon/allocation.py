"""What the C library is told about memory, so that a process that runs for months gives back what a lesson took."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
LARGE_BYTES = 1 << 20  # above a camera's picture, below what a fit works on


def give_back() -> None:
    """Let large arrays go back to the system when they are freed, and keep what is free in one place for all threads.

    Else glibc raises the size from which it does so to that of the largest array it saw freed, and lets each thread
    keep what it once used. Must be called before the first thread starts; elsewhere than with glibc it does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for option, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, LARGE_BYTES), (M_TRIM_THRESHOLD, LARGE_BYTES)):
        mallopt(ctypes.c_int(option), ctypes.c_int(value))
