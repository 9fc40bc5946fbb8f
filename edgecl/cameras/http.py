"""Pictures over HTTP. The socket is ours, so its time-outs hold."""

from __future__ import annotations

import contextlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
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

Ask = Callable[[], http.client.HTTPResponse]


def connect_http(url: str, settings: CameraSettings) -> Pictures:
    """Ask once; what the camera calls its answer decides how it is read.

    Raises:
        CameraUnavailable: no answer in time, a refusal, or an answer that holds no pictures.
    """
    ask = _asking(url, settings)
    response = ask()
    kind = response.headers.get_content_type()
    if kind.startswith("multipart/"):
        return _stream(response, settings, redact(url))
    if kind.startswith("image/"):
        return _snapshots(response, ask, settings, redact(url))
    response.close()
    if kind.startswith(("video/", "audio/")) or "mpegurl" in kind or kind == "application/octet-stream":
        remedy = f"its answer is called {kind}; check that it is a video"
        return Capture(url, cv2.CAP_FFMPEG, ffmpeg_options(settings), settings, redact(url), remedy)
    raise CameraUnavailable(
        f"found {kind} at {redact(url)}, {_EXPECTED}; look for the camera's stream or snapshot address"
    )


def _stream(response: http.client.HTTPResponse, settings: CameraSettings, shown: str) -> Generator[Picture, None, None]:
    limit_s, splitter = settings.read_timeout_s, JpegSplitter()
    with contextlib.closing(response):
        last = time.monotonic()
        while chunk := _wait(lambda: response.read1(_CHUNK), shown, limit_s):
            for jpeg in splitter.feed(chunk):
                with contextlib.suppress(ImageRefused):  # a picture damaged on its way; the next one is near
                    yield decode_image(jpeg, shown)
                    last = time.monotonic()
            if time.monotonic() - last > limit_s:  # bytes drip, but no picture comes of them
                raise stalled(shown, limit_s)


def _snapshots(
    response: http.client.HTTPResponse, ask: Ask, settings: CameraSettings, shown: str
) -> Generator[Picture, None, None]:
    while True:
        asked = time.monotonic()
        with contextlib.closing(response):
            data = _body(response, settings.read_timeout_s, shown)
        try:
            image = decode_image(data, shown)
        except ImageRefused as error:
            raise CameraStalled(str(error)) from error
        yield image
        time.sleep(max(0.0, asked + SNAPSHOT_EVERY_S - time.monotonic()))
        response = ask()


def _body(response: http.client.HTTPResponse, limit_s: float, shown: str) -> bytes:
    body, end = bytearray(), time.monotonic() + limit_s
    while chunk := _wait(lambda: response.read1(_CHUNK), shown, limit_s):
        body += chunk
        if time.monotonic() > end:
            raise stalled(shown, limit_s)
        if len(body) > IMAGE_BYTES_MAX:
            raise CameraStalled(f"found over {IMAGE_BYTES_MAX // 2**20} MB at {shown}, {_EXPECTED}; check the address")
    return bytes(body)


def _wait(read: Callable[[], bytes], shown: str, limit_s: float) -> bytes:
    try:
        return read()
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

    def ask() -> http.client.HTTPResponse:
        try:
            response: http.client.HTTPResponse = opener.open(request, timeout=settings.open_timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            remedy = "write http://USER:PASSWORD@HOST/…" if error.code in (401, 403) else "check the address"
            raise CameraUnavailable(f"found HTTP status {error.code} at {shown}, {_EXPECTED}; {remedy}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise CameraUnavailable(
                f"could not open {shown} (waited at most {settings.open_timeout_s:g} s): {reason}; "
                "check the address and that the camera is on"
            ) from None
        return response

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
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPRedirectHandler(),
        *((urllib.request.HTTPDigestAuthHandler(accounts),) if parts.username else ()),
        *((urllib.request.HTTPBasicAuthHandler(accounts),) if parts.username else ()),
    ):
        opener.add_handler(handler)
    return opener


class _HangUp(urllib.request.BaseHandler):
    """Closes the answer that asks for a password before the account is sent; urllib leaves it open."""

    handler_order = 100  # before those that know the account

    def http_error_401(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> None:
        fp.close()


class _Http(urllib.request.HTTPHandler):
    """Waits as long as `urlopen` says for the connection, and as long as a camera may be silent for each answer."""

    def __init__(self, read_timeout_s: float) -> None:
        super().__init__()
        self._read_timeout_s = read_timeout_s

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_patient(http.client.HTTPConnection, self._read_timeout_s), req)


class _Https(urllib.request.HTTPSHandler):
    """The same over TLS, with the system's certificates."""

    def __init__(self, read_timeout_s: float) -> None:
        super().__init__()
        self._read_timeout_s = read_timeout_s

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_patient(http.client.HTTPSConnection, self._read_timeout_s), req)


def _patient(kind: type[http.client.HTTPConnection], read_timeout_s: float) -> Any:
    class Patient(kind):  # type: ignore[misc, valid-type]
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(read_timeout_s)

    return Patient
