"""The command `edgecl`: its groups put together, its errors put into words."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Annotated, NoReturn

import typer

from edgecl import __version__
from edgecl.cli.terminal import printable
from edgecl.errors import EdgeclError

# In the order of the help. Each file has `commands`, a Typer of its own.
GROUPS = (
    "demo",
    "run",
    "service",
    "teaching",
    "prediction",
    "classes",
    "health",
    "safekeeping",
    "exporting",
    "consolidation",
    "release",
    "evaluation",
)

app = typer.Typer(
    name="edgecl",
    help="A camera that is taught on the spot and does not forget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"edgecl {__version__}")
        raise typer.Exit


@app.callback()
def edgecl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """A camera that is taught on the spot and does not forget."""


for _group in GROUPS:
    app.add_typer(importlib.import_module(f"edgecl.cli.{_group}").commands)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that half-written files and temporary folders go."""
    heard: list[int] = []

    def leave(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if heard:  # also where a destructor that it came to has swallowed the exception
            raise SystemExit(128 + heard[0])


def _in_words(error: EdgeclError | PermissionError | ImportError) -> str:
    if isinstance(error, PermissionError):
        return (
            f"{error.filename} is not open to this user ({error.strerror}), expected a file or folder that it may "
            "read; change its rights, or name another"
        )
    if isinstance(error, ImportError):
        if "cannot open shared object" not in str(error):
            raise error
        return (
            f"a library of the system is missing ({error}), expected those that OpenCV needs; on Debian, Ubuntu and "
            "Raspberry Pi OS: sudo apt install libgl1 libglib2.0-0"
        )
    return str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 refused or failed, 2 wrongly called, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode is no reason to fail
    try:
        with _ended_by_sigterm():
            app(args=arguments, prog_name="edgecl")
    except (EdgeclError, PermissionError, ImportError) as error:
        print(f"edgecl: {printable(_in_words(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


def program() -> NoReturn:
    """`main` as a process of its own, whose status is the command's whatever is left of it.

    Before Python 3.14 its end stops threads in the middle of native code, such as one that reads a camera after Ctrl-C,
    and C++ aborts the process for it; so where one is left, the process ends without that.
    """
    status = main()
    if any(thread.daemon for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # whoever read it may be gone
                stream.flush()
        os._exit(status)
    sys.exit(status)
