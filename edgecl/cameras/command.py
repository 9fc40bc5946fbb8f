"""A command whose standard output is pictures: started, read within time-outs, ended with all that it has begun."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from edgecl.cameras import program_of
from edgecl.cameras.capture import Picture, stalled
from edgecl.cameras.jpegs import JpegSplitter
from edgecl.cameras.raw import Raw
from edgecl.cameras.reconnect import Pictures
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, CameraUnavailable, ImageRefused
from edgecl.images import decode_image

_CHUNK = 65536  # bytes
_END_S = 2.0  # from asking a command to end to killing it
_LINES = 5  # of what it said last, for a message
_LINE_BYTES = 400
_BREAK = re.compile(rb"[\r\n]+")
_ACCOUNT = re.compile(r"\S+@")
_IN_ADDRESS = re.compile(r"//(\S+)@")
_SECRET = re.compile(r"(?i)pass|token|secret|key|auth|user|^-[uH]$")  # options whose value is nobody's business

# Whatever ends us, also a kill, closes what this waits for; then it ends the group that we have begun.
_LEASH = """
read -r _
kill -s TERM -- "-$1"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kill -s 0 -- "-$1" || exit 0
  sleep 0.1
done
kill -s KILL -- "-$1"
"""


def connect_command(
    arguments: Sequence[str], raw: Raw | None, settings: CameraSettings, shown: str, remedy: str
) -> Pictures:
    """Start a command and read pictures from its standard output until it ends.

    Args:
        arguments: program and arguments; no shell sees them.
        raw: what its frames are, None for JPEGs.
        settings: time-outs; the first picture may take as long as opening and reading together.
        shown: how the camera is called, without passwords.
        remedy: what to do where it ends.

    Raises:
        CameraUnavailable: it cannot be run.
    """
    return _Pictures(_Running(arguments, shown), raw, settings, shown, remedy)


def split(command: str) -> list[str]:
    """The arguments of a command as a shell would cut them.

    Raises:
        CameraUnavailable: a quote that is never closed, or nothing at all.
    """
    try:
        found = shlex.split(command)
    except ValueError as error:
        raise CameraUnavailable(f"found a command that cannot be read ({error}), expected quotes in pairs") from error
    if not found:
        raise CameraUnavailable("found no command, expected one that writes pictures, as in pipe:rpicam-vid …")
    return found


class _Pictures:
    """What a command shows; `close` ends it, also before the first picture was asked for."""

    def __init__(self, running: _Running, raw: Raw | None, settings: CameraSettings, shown: str, remedy: str) -> None:
        self._running, self._settings, self._shown, self._remedy = running, settings, shown, remedy
        self._take = _jpegs(shown) if raw is None else _frames(raw)
        self.close = running.close

    def __iter__(self) -> Iterator[Picture]:
        limit_s = self._settings.open_timeout_s + self._settings.read_timeout_s
        deadline = time.monotonic() + limit_s
        while (chunk := self._running.read(deadline - time.monotonic())) is not None:
            if not chunk:
                raise CameraStalled(f"{self._running.ended()}, expected pictures without end; {self._remedy}")
            for picture in self._take(chunk):
                yield picture
                limit_s = self._settings.read_timeout_s
                deadline = time.monotonic() + limit_s
        raise CameraStalled(f"{stalled(self._shown, limit_s)}{self._running.said}")


def _jpegs(shown: str) -> Callable[[bytes], Iterator[Picture]]:
    splitter = JpegSplitter()

    def take(chunk: bytes) -> Iterator[Picture]:
        for jpeg in splitter.feed(chunk):
            with contextlib.suppress(ImageRefused):  # damaged on its way; the next one is near
                yield decode_image(jpeg, shown)

    return take


def _frames(raw: Raw) -> Callable[[bytes], Iterator[Picture]]:
    kept = bytearray()

    def take(chunk: bytes) -> Iterator[Picture]:
        kept.extend(chunk)
        while len(kept) >= raw.frame_bytes:
            yield raw.picture(kept[: raw.frame_bytes])
            del kept[: raw.frame_bytes]

    return take


class _Running:
    """A command and all that it begins, in a process group of its own on a leash."""

    def __init__(self, arguments: Sequence[str], shown: str) -> None:
        """Start it.

        Raises:
            CameraUnavailable: there is no such program, or it must not be run.
        """
        self._program = program_of(arguments[0]) or "the command"
        self._lines = collections.deque[str](maxlen=_LINES)
        self._secrets = sorted(_secrets(arguments), key=len, reverse=True)
        try:
            self._process = subprocess.Popen(  # noqa: S603, the user chose the command
                arguments,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CameraUnavailable(
                f"could not run {self._program} for {shown}: {reason}; expected a program that this machine has; "
                "install it, or write its whole path"
            ) from error
        self._leash = subprocess.Popen(  # noqa: S603, ours, with a number as its argument
            ["/bin/sh", "-c", _LEASH, "leash", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._output, errors = _pipe(self._process.stdout), _pipe(self._process.stderr)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._listener = threading.Thread(target=self._listen, args=(errors,), name="what a command says", daemon=True)
        self._listener.start()

    def read(self, wait_s: float) -> bytes | None:
        """What it writes next; nothing at its end, None where nothing comes in time."""
        if wait_s <= 0 or not self._selector.select(wait_s):
            return None
        return os.read(self._output.fileno(), _CHUNK)

    @property
    def said(self) -> str:
        """What it said last, as the end of a sentence."""
        return f"; it said: {' / '.join(self._lines)}" if self._lines else ""

    def ended(self) -> str:
        """How it came to its end, in words, once it wrote all."""
        try:
            status = f"status {self._process.wait(_END_S)}"
        except subprocess.TimeoutExpired:
            status = "it closed its output"
        self._end_group()
        self._listener.join(_END_S)
        return f"{self._program} ended ({status}){self.said}"

    def close(self) -> None:
        """End it and all that it has begun: asked first, killed if they do not listen."""
        self._end_group()
        self._leash.kill()
        self._leash.wait()
        _pipe(self._leash.stdin).close()
        self._selector.close()
        self._output.close()
        self._listener.join(_END_S)  # which closes what it reads

    def _end_group(self) -> None:
        end = time.monotonic() + _END_S
        self._signal(signal.SIGTERM)
        while self._signal(0) and time.monotonic() < end:
            self._process.poll()
            time.sleep(0.01)
        self._signal(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # of another user, as with sudo: nobody can end it for us
            self._process.wait(_END_S)

    def _signal(self, number: int) -> bool:
        """To all of the group; returns whether anyone is left."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _listen(self, errors: IO[bytes]) -> None:
        kept = b""
        with errors:
            while data := os.read(errors.fileno(), _CHUNK):
                *lines, kept = _BREAK.split(kept + data)
                if len(kept) > _LINE_BYTES:  # whoever writes no end of a line must not fill the memory
                    kept = b""
                self._tell(lines)
        self._tell([kept])

    def _tell(self, lines: Sequence[bytes]) -> None:
        """Keep what it said; it may repeat what it was given, or an address with a password."""
        for line in lines:
            text = line.decode("utf-8", "replace").strip() if len(line) <= _LINE_BYTES else ""
            for secret in self._secrets:
                text = text.replace(secret, "***")
            if text:
                self._lines.append(_ACCOUNT.sub("***@", text))


def _secrets(arguments: Sequence[str]) -> set[str]:
    """What of the arguments may be a password: accounts, and values of options that are called like one."""
    found: set[str] = set()
    for before, argument in zip(["", *arguments], arguments, strict=False):
        found.update(_IN_ADDRESS.findall(argument))
        name, _, value = argument.partition("=")
        if before.startswith("-") and _SECRET.search(before):
            found.add(argument)
        elif value and _SECRET.search(name):
            found.add(value)
    return found | {part for one in found for part in re.split(r"[:\s]+", one) if len(part) > 3}


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe of a process that was started with one."""
    if pipe is None:
        raise ValueError("found no pipe, expected a process that was started with one")
    return pipe
