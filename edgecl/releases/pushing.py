"""A release goes out: into another home, as a file into a folder, or to a device's address."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edgecl.errors import InputRefused, ReleaseError
from edgecl.manifest import Precision
from edgecl.releases import slots
from edgecl.releases.bundle import Folder, packed

PATH = "/api/v1/releases"
TIMEOUT_S = 60.0
ANSWER_BYTES_MAX = 65_536
TOKEN_VARIABLE = "EDGECL_TOKEN"  # noqa: S105  # a name, no secret


@dataclass(frozen=True)
class Sent:
    """What a device answered.

    Attributes:
        url: without the token.
        bytes: sent.
        status: of HTTP.
        answer: its body.
    """

    url: str
    bytes: int
    status: int
    answer: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token is for the host that was named, and for no other."""

    def redirect_request(self, *_: object) -> None:
        return None


def is_address(target: str) -> bool:
    """Whether `target` is the address of a device."""
    return target.lower().startswith(("http://", "https://"))


def is_home(target: Path) -> bool:
    """Whether a folder is the home of a device."""
    return (target / slots.CURRENT).is_symlink()


def post(home: Path, number: int, url: str, token: str, precision: Precision | None, whole: bool) -> Sent:
    """Send release `number` as a single file to the device at `url`, which verifies it by its own trust.

    Args:
        home: of the release.
        number: of the release.
        url: `http(s)://HOST[:PORT]`.
        token: by which the device knows who may send.
        precision: of the device, None if unknown.
        whole: see `pack`.

    Raises:
        InputRefused: no such address, or no token.
        ReleaseError: the device did not take it, with its words.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.path not in ("", "/") or parts.query:
        raise InputRefused("found no plain address of a device, expected http(s)://HOST[:PORT]; leave out all else")
    if not token or not token.isprintable() or not token.isascii() or " " in token:
        raise InputRefused(f"found no token to send with, expected one in ${TOKEN_VARIABLE} or --token-file FILE")
    folder = slots.release_folder(home, number)
    document = slots.read_document(folder)
    if document is None:
        raise ReleaseError(f"found release {number} without a document, expected one made by a consolidation")
    data = packed(Folder(folder), document, precision, whole)
    address = f"{parts.scheme}://{parts.netloc}{PATH}"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/zip"}
    request = urllib.request.Request(address, data, headers, method="POST")  # noqa: S310  # http(s) alone, see above
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S) as answer:
            return Sent(address, len(data), answer.status, _text(answer.read(ANSWER_BYTES_MAX)))
    except urllib.error.HTTPError as error:
        said = _text(error.read(ANSWER_BYTES_MAX)) or error.reason
        raise ReleaseError(f"{address} refused release {number} (HTTP {error.code}): {said[:500]}") from error
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error
        raise ReleaseError(f"{address} could not be reached: {reason}; check the address and the network") from error


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()
