"""A device's API from afar: its address, and the token by which it knows who asks, which no other host gets to see."""

from __future__ import annotations

import contextlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from edgecl.errors import DeviceRefused, InputRefused

TIMEOUT_S = 60.0
ANSWER_BYTES_MAX = 65_536
TOKEN_VARIABLE = "EDGECL_TOKEN"  # noqa: S105  # a name, no secret


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token is for the host that was named, and for no other."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True)
class Device:
    """A device at an address.

    Attributes:
        address: `http(s)://HOST[:PORT]`.
        token: never shown.
    """

    address: str
    token: str = field(repr=False)

    @classmethod
    def at(cls, url: str, token: str) -> Device:
        """The device at `url`.

        Raises:
            InputRefused: no such address, or no token.
        """
        try:
            parts = urlsplit(url)
            plain = parts.hostname and parts.username is None and parts.path in ("", "/") and not parts.query
            plain = plain and (parts.port or True) and url.isprintable() and " " not in url
        except ValueError:  # brackets that do not close, a port that is no number
            plain = False
        if not plain:
            raise InputRefused("found no plain address of a device, expected http(s)://HOST[:PORT]; leave out all else")
        if not token or not token.isprintable() or not token.isascii() or " " in token:
            raise InputRefused(f"found no token to show, expected one in ${TOKEN_VARIABLE} or --token-file FILE")
        return cls(f"{parts.scheme}://{parts.netloc}", token)

    @contextlib.contextmanager
    def asked(
        self,
        path: str,
        data: bytes | None = None,
        kind: str = "",
        method: str | None = None,
        patience_s: float = TIMEOUT_S,
    ) -> Iterator[HTTPResponse]:
        """The device's answer to GET `path`, or to POST of `data`, to be read within the block.

        Args:
            path: of the API.
            data: to be sent; None to get.
            kind: media type of `data`.
            method: of HTTP, where it is another.
            patience_s: with which every part of the answer is waited for.

        Raises:
            DeviceRefused: it was not reached, broke off, or refused, with its words.
        """
        url = self.address + path
        headers = {"Content-Type": kind} if kind else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  # http(s) alone, see `at`
        try:
            with urllib.request.build_opener(_NoRedirect, _proxies()).open(request, timeout=patience_s) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            said = text_of(error.read(ANSWER_BYTES_MAX)) or error.reason
            raise DeviceRefused(
                f"{url} refused (HTTP {error.code}): {said[:500]}; check the address and the token", said
            ) from error
        except (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise DeviceRefused(f"{url} could not be reached: {reason}; check the address and the network") from error


def _proxies() -> urllib.request.ProxyHandler:
    """Those of the system, but for what they could read: the token and pictures of who asks in plain HTTP."""
    found = urllib.request.getproxies()
    return urllib.request.ProxyHandler({kind: url for kind, url in found.items() if kind == "https"})


def is_address(text: str) -> bool:
    """Whether `text` is the address of a device, and no path."""
    return text.lower().startswith(("http://", "https://"))


def text_of(data: bytes) -> str:
    """What a device said."""
    return data.decode("utf-8", "replace").strip()


def token_from(file: Path | None) -> str:
    """The token in `file`, else in the environment; empty where there is none.

    Raises:
        InputRefused: the file cannot be read.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused(f"could not read a token from {file}: expected a file with one line of ASCII") from error
