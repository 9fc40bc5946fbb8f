"""Pictures over HTTP. The socket is ours, so its time-outs hold."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from email.message import Message
from typing import IO, Any
from urllib.parse import SplitResult, unquote, urlsplit

import cv2

from edgecl.cameras import redact
from edgecl.cameras.capture import Capture, Picture, ffmpeg_options, stalled
from edgecl.cameras.jpegs import JpegSplitter
from edgecl.cameras.reconnect import Pictures
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled, CameraUnavailable, ImageRefused
from edgecl.images import IMAGE_BYTES_MAX, decode_image

SNAPSHOT_EVERY_S = 0.2  # small cameras encode each snapshot anew and fall over when asked much faster
_CHUNK = 65536  # bytes
_EXPECTED = "expected an MJPEG stream, a JPEG snapshot or a video stream"


class _Wire(io.RawIOBase):
    """A socket whose reads end at a deadline all together. A time-out of each is none for a camera that drips bytes."""

    def __init__(self, sock: socket.socket, limit_s: float) -> None:
        super().__init__()
        self._socket = sock
        self._file = sock.makefile("rb", buffering=0)
        self.allow(limit_s)

    def allow(self, limit_s: float) -> None:
        """Move the deadline to `limit_s` from now."""
        self._end = time.monotonic() + limit_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose headers have to be there in time; then `wire` has the deadline for what follows."""

    def __init__(self, limit_s: float, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.wire = _Wire(sock, limit_s)
        self.fp.close()
        self.fp = io.BufferedReader(self.wire)


Ask = Callable[[], _Answer]


def connect_http(url: str, settings: CameraSettings) -> Pictures:
    """Ask once; what the camera calls its answer decides how it is read.

    Raises:
        CameraUnavailable: no answer in time, a refusal, or an answer that holds no pictures.
    """
    ask = _asking(url, settings)
    answer = ask()
    kind = answer.headers.get_content_type()
    if kind.startswith("multipart/"):
        return _stream(answer, settings, redact(url))
    if kind.startswith("image/"):
        return _snapshots(answer, ask, settings, redact(url))
    answer.close()
    if kind.startswith(("video/", "audio/")) or "mpegurl" in kind or kind == "application/octet-stream":
        remedy = f"its answer is called {kind}; check that it is a video"
        return Capture(url, cv2.CAP_FFMPEG, ffmpeg_options(settings), settings, redact(url), remedy)
    raise CameraUnavailable(
        f"found {kind} at {redact(url)}, {_EXPECTED}; look for the camera's stream or snapshot address"
    )


def _stream(answer: _Answer, settings: CameraSettings, shown: str) -> Generator[Picture, None, None]:
    limit_s, splitter = settings.read_timeout_s, JpegSplitter()
    with contextlib.closing(answer):
        answer.wire.allow(limit_s)
        while chunk := _wait(answer, shown, limit_s):
            for jpeg in splitter.feed(chunk):
                with contextlib.suppress(ImageRefused):  # a picture damaged on its way; the next one is near
                    yield decode_image(jpeg, shown)
                    answer.wire.allow(limit_s)


def _snapshots(answer: _Answer, ask: Ask, settings: CameraSettings, shown: str) -> Generator[Picture, None, None]:
    while True:
        asked = time.monotonic()
        with contextlib.closing(answer):
            data = _body(answer, settings.read_timeout_s, shown)
        try:
            image = decode_image(data, shown)
        except ImageRefused as error:
            raise CameraStalled(str(error)) from error
        yield image
        time.sleep(max(0.0, asked + SNAPSHOT_EVERY_S - time.monotonic()))
        answer = ask()


def _body(answer: _Answer, limit_s: float, shown: str) -> bytes:
    body = bytearray()
    answer.wire.allow(limit_s)
    while chunk := _wait(answer, shown, limit_s):
        body += chunk
        if len(body) > IMAGE_BYTES_MAX:
            raise CameraStalled(f"found over {IMAGE_BYTES_MAX // 2**20} MB at {shown}, {_EXPECTED}; check the address")
    return bytes(body)


def _wait(answer: _Answer, shown: str, limit_s: float) -> bytes:
    try:
        return answer.read1(_CHUNK)
    except TimeoutError:
        raise stalled(shown, limit_s) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CameraStalled(f"lost the connection to {shown}: {type(error).__name__}; check the network") from error


def _asking(url: str, settings: CameraSettings) -> Ask:
    """A function that sends the request, with the account in `url` moved to where HTTP wants it."""
    shown = redact(url)
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        plain = parts._replace(netloc=host + (f":{parts.port}" if parts.port is not None else ""), fragment="").geturl()
        request = urllib.request.Request(plain, headers={"User-Agent": "edgecl"})  # noqa: S310, the scheme is http(s)
    except ValueError:  # its text would quote the password, so it is not passed on
        raise CameraUnavailable(
            f"found an address that cannot be read ({shown}), expected http://USER:PASSWORD@HOST:PORT/…; "
            "write special characters of the password as %40 for @, %2F for /, %23 for #"
        ) from None
    opener = _opener(parts, plain, settings)

    def ask() -> _Answer:
        try:
            answer: _Answer = opener.open(request, timeout=settings.open_timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            remedy = "check the address"
            if error.code in (401, 403):
                remedy = "write http://USER:PASSWORD@HOST/…"
            if error.code == 401 and not _asks_for_password(error.headers):
                remedy = "it asks for neither Basic nor Digest authentication; choose one of them on the camera"
            raise CameraUnavailable(f"found HTTP status {error.code} at {shown}, {_EXPECTED}; {remedy}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            waited_s = settings.open_timeout_s + settings.read_timeout_s
            raise CameraUnavailable(
                f"could not open {shown} (waited at most {waited_s:g} s): {reason}; "
                "check the address and that the camera is on"
            ) from None
        return answer

    return ask


def _opener(parts: SplitResult, plain: str, settings: CameraSettings) -> urllib.request.OpenerDirector:
    """HTTP(S) with redirects, Basic and Digest; no proxy (cameras are near), no file or FTP."""
    accounts = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    accounts.add_password(None, plain, unquote(parts.username or ""), unquote(parts.password or ""))
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Http(settings.read_timeout_s),
        _Https(settings.read_timeout_s),
        _HangUp(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPRedirectHandler(),
        *((urllib.request.HTTPDigestAuthHandler(accounts),) if parts.username else ()),
        *((urllib.request.HTTPBasicAuthHandler(accounts),) if parts.username else ()),
    ):
        opener.add_handler(handler)
    return opener


def _asks_for_password(headers: Message) -> bool:
    schemes = [asked.split(None, 1)[0].lower() for asked in headers.get_all("WWW-Authenticate", ["basic"]) if asked]
    return not {"basic", "digest"}.isdisjoint(schemes)


class _HangUp(urllib.request.BaseHandler):
    """Closes the answer that asks for a password before the account is sent; urllib leaves it open.

    What asks for something else is an error here; urllib would raise a bare ValueError.
    """

    handler_order = 100  # before those that know the account

    def http_error_401(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> None:
        fp.close()
        if not _asks_for_password(headers):
            raise urllib.error.HTTPError(req.full_url, code, msg, headers, None)


class _Http(urllib.request.HTTPHandler):
    """Waits as long as `urlopen` says for the connection, and as long as a camera may be silent for the headers."""

    def __init__(self, read_timeout_s: float) -> None:
        super().__init__()
        self._read_timeout_s = read_timeout_s

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_prompt(http.client.HTTPConnection, self._read_timeout_s), req)


class _Https(urllib.request.HTTPSHandler):
    """The same over TLS, with the system's certificates."""

    def __init__(self, read_timeout_s: float) -> None:
        super().__init__()
        self._read_timeout_s = read_timeout_s

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_prompt(http.client.HTTPSConnection, self._read_timeout_s), req)


def _prompt(kind: type[http.client.HTTPConnection], read_timeout_s: float) -> Any:
    class Prompt(kind):  # type: ignore[misc, valid-type]  # either of two classes, known when it runs
        response_class = functools.partial(_Answer, read_timeout_s)

    return Prompt
