"""A release goes out: into another home, as a file into a folder, or to a device's address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecl.errors import ReleaseError
from edgecl.manifest import Precision
from edgecl.releases import slots
from edgecl.releases.bundle import Folder, packed
from edgecl.remote import ANSWER_BYTES_MAX, Device, text_of

PATH = "/api/v1/releases"


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


def is_home(target: Path) -> bool:
    """Whether a folder is the home of a device."""
    return (target / slots.CURRENT).is_symlink() or (target / "releases").is_dir()


def post(home: Path, number: int, device: Device, precision: Precision | None, whole: bool) -> Sent:
    """Send release `number` as a single file to `device`, which verifies it by its own trust.

    Args:
        home: of the release.
        number: of the release.
        device: to send it to.
        precision: of the device, None if unknown.
        whole: see `pack`.

    Raises:
        ReleaseError: the release cannot be sent.
        DeviceRefused: the device did not take it, with its words.
    """
    folder = slots.release_folder(home, number)
    document = slots.read_document(folder)
    if document is None:
        raise ReleaseError(f"found release {number} without a document, expected one made by a consolidation")
    data = packed(Folder(folder), document, precision, whole)
    with device.asked(PATH, data, "application/zip") as answer:
        return Sent(device.address + PATH, len(data), answer.status, text_of(answer.read(ANSWER_BYTES_MAX)))
