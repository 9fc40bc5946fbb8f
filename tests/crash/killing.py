"""Kills a process while it changes a memory: at every write, at every call of SQLite, or at any moment.

Run as a program it makes many copies of a small memory, lets a child change each in the same way and kills the child
at its first, second, third … writing system call (found with the kernel's own ptrace) or call of SQLite, until one gets
through. What the copies hold then is for the test to judge.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from memories import taught, teach

from edgecl.memory.backup import restore
from edgecl.memory.store import Store

_TRACEME, _CONT, _KILL, _SETOPTIONS, _SYSCALL, _SYSCALL_INFO = 0, 7, 8, 0x4200, 24, 0x420E
_EXIT_WITH_TRACER, _MARK_SYSCALLS = 0x100000, 1
_ENTRY = 1  # a stop before the call, the other is after it

# The calls that change what is on disk, by the number that each architecture has for them.
_WRITING = {
    "x86_64": {1, 18, 20, 74, 75, 76, 77, 82, 86, 87, 263, 264, 265, 316},
    "aarch64": {35, 37, 38, 45, 46, 64, 66, 68, 82, 83, 276},
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class _SyscallInfo(ctypes.Structure):
    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


def _ptrace(request: int, pid: int, address: int = 0, data: object = 0) -> None:
    if _libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request})")


def _work_and_exit(work: Callable[[], object]) -> None:
    """Work and end this child, so that no exception carries it into what its parent does next."""
    try:
        work()
        os._exit(0)
    except BaseException as error:  # the parent's caller reads it from stderr
        print(repr(error), file=sys.stderr, flush=True)
    finally:
        os._exit(70)


def killed_at_write(work: Callable[[], None], n: int) -> bool:
    """Run `work` in a child and kill it at its `n`-th writing system call. Returns whether it got through.

    Raises:
        OSError: this system does not let a process trace its own child.
    """
    child = os.fork()
    if child == 0:
        _work_and_exit(lambda: (_ptrace(_TRACEME, 0), os.kill(os.getpid(), signal.SIGSTOP), work()))
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        raise OSError("this system lets no process be traced")
    _ptrace(_SETOPTIONS, child, 0, _EXIT_WITH_TRACER | _MARK_SYSCALLS)
    info, writing, seen, deliver = _SyscallInfo(), _WRITING[os.uname().machine], 0, 0
    while True:
        _ptrace(_SYSCALL, child, 0, deliver)
        deliver = 0
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            if os.WEXITSTATUS(status):
                raise RuntimeError(f"the child failed with {os.WEXITSTATUS(status)}")
            return True
        if os.WIFSIGNALED(status):
            raise RuntimeError(f"the child died of signal {os.WTERMSIG(status)}")
        if os.WSTOPSIG(status) != signal.SIGTRAP | 0x80:
            deliver = os.WSTOPSIG(status)
            continue
        _ptrace(_SYSCALL_INFO, child, ctypes.sizeof(info), ctypes.byref(info))
        if info.op == _ENTRY and info.number in writing:
            seen += 1
            if seen == n:
                os.kill(child, signal.SIGKILL)  # before the call is carried out
                os.waitpid(child, 0)
                return False


def lesson_and_acknowledgement(home: Path) -> None:
    """Teach one lesson that also displaces two examples, then say so in a file beside the home."""
    with Store(home) as store:
        teach(store, "new", 3, seed=30, displaced=[1, 4])
        os.close(os.open(home.with_suffix(".acknowledged"), os.O_CREAT))  # no writing call: not counted
    # closing moves the log into the database: the kills go on through that


def undo_and_acknowledgement(home: Path) -> None:
    """Undo the newest lesson, then say so."""
    with Store(home, clock=lambda: 9.0) as store:
        store.undo()
        os.close(os.open(home.with_suffix(".acknowledged"), os.O_CREAT))


def forget_and_acknowledgement(home: Path) -> None:
    """Forget a class, then say so."""
    with Store(home, clock=lambda: 9.0) as store:
        store.forget("mug")
        os.close(os.open(home.with_suffix(".acknowledged"), os.O_CREAT))


def create_and_acknowledgement(home: Path) -> None:
    """Make a new memory in an empty folder."""
    with Store(home, clock=lambda: 9.0):
        os.close(os.open(home.with_suffix(".acknowledged"), os.O_CREAT))


def restore_and_acknowledgement(home: Path) -> None:
    """Put back a memory of another day."""
    restore(home, home.parent / "backup")
    os.close(os.open(home.with_suffix(".acknowledged"), os.O_CREAT))


WORK = {
    "teach": lesson_and_acknowledgement,
    "undo": undo_and_acknowledgement,
    "forget": forget_and_acknowledgement,
    "create": create_and_acknowledgement,
    "restore": restore_and_acknowledgement,
}


def killed_at_statement(work: Callable[[], None], n: int) -> bool:
    """Run `work` in a child that kills itself before its `n`-th call of SQLite. Returns whether it got through."""
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(_: object, event: str, function: Any) -> None:
            nonlocal seen
            if event == "c_call" and isinstance(getattr(function, "__self__", None), sqlite3.Connection):
                seen += 1
                if seen == n:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(watch)
        _work_and_exit(work)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"the child failed with {os.WEXITSTATUS(status)}")
    return os.WIFEXITED(status)


def at_every(kill: Callable[[Callable[[], None], int], bool], folder: Path, what: str) -> int:
    """Leave copies 1, 2, … in `folder`, each after the work was killed at that place. Returns how many."""
    template = taught(folder / "before")
    with Store(template) as store:
        if what == "restore":
            store.backup(folder / "backup")
        teach(store, "tuesday", 2, seed=40)
        files = {path.name: path.read_bytes() for path in template.iterdir() if path.suffix != ".db-shm"}
    for name, data in files.items():  # as a power cut leaves it: a log is waiting to be carried over
        (template / name).write_bytes(data)
    n, through = 0, False
    while not through and n < 1000:
        n += 1
        home = folder / str(n)
        if what == "create":
            home.mkdir()
        else:
            shutil.copytree(template, home)
        through = kill(lambda home=home: WORK[what](home), n)
    return n


def teach_without_end(home: Path, acknowledged: Path) -> None:
    """Teach, write the number of the lesson into a file, and so on."""
    with Store(home, clock=lambda: 9.0) as store, acknowledged.open("a") as file:
        while True:
            seed = store.revision
            lesson = teach(store, f"class {seed % 5}", 2, seed=seed, displaced=[2 * seed] if seed else [])
            print(lesson.id, file=file, flush=True)


def at_random(folder: Path, kills: int) -> list[tuple[int, int, list[str]]]:
    """Kill a child that teaches without end, again and again; each time (acknowledged, present, faults)."""
    home, acknowledged = folder / "home", folder / "acknowledged"
    acknowledged.touch()
    outcomes, random = [], Random(0)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            _work_and_exit(lambda: teach_without_end(home, acknowledged))
        time.sleep(random.uniform(0.005, 0.08))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        numbers = [0, *map(int, acknowledged.read_text().split())]
        with Store(home) as store:
            outcomes.append((numbers[-1], len(store.history()), store.check()))
    return outcomes


if __name__ == "__main__":
    place, where, work = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if place == "random":
        print(json.dumps(at_random(where, int(work))))
    else:
        print(json.dumps(at_every(killed_at_write if place == "write" else killed_at_statement, where, work)))
