"""Parts of cameras' pictures that were set while the daemon ran, kept in the home."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edgecl.cameras import redact
from edgecl.config import CameraEntry, Roi
from edgecl.files import write_durably

log = logging.getLogger(__name__)

REGIONS = "regions.json"  # in the home
_ROI: TypeAdapter[Roi] = TypeAdapter(Roi)


@dataclass(frozen=True)
class Drawn:
    """A part that someone drew on a camera's picture.

    Attributes:
        camera: its address, without passwords.
        instead_of: what the settings said then.
        roi: the part.
    """

    camera: str
    instead_of: Roi
    roi: Roi


class Regions:
    """By name of the camera. What was drawn counts for that address, until the settings say something else."""

    def __init__(self, home: Path) -> None:
        """Read those of the home; none where the file cannot be read, which is logged."""
        self._path = home / REGIONS
        self._drawn = _read(self._path)

    def of(self, name: str, entry: CameraEntry) -> Roi:
        """The part that counts of this camera."""
        drawn = self._drawn.get(name)
        counts = drawn is not None and (drawn.camera, drawn.instead_of) == (redact(entry.url), entry.roi)
        return drawn.roi if drawn is not None and counts else entry.roi

    def draw(self, name: str, entry: CameraEntry, roi: Roi) -> None:
        """Let `roi` count, also after the next start; None for what the settings say.

        Raises:
            StoreUnwritable: the disk refuses; it is as it was.
        """
        drawn = {other: one for other, one in self._drawn.items() if other != name}
        if roi is not None:
            drawn[name] = Drawn(redact(entry.url), entry.roi, roi)
        record = {other: vars(one) for other, one in drawn.items()}
        write_durably(self._path, json.dumps(record, indent=1).encode("utf-8"))
        self._drawn = drawn


def _read(path: Path) -> dict[str, Drawn]:
    try:
        return {name: _drawn(record) for name, record in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        log.warning("%s cannot be used, and cameras are seen as edgecl.toml says: %s", path, error)
        return {}


def _drawn(record: dict[str, Any]) -> Drawn:
    """A record of the file, checked as settings are."""
    instead_of, roi = (_ROI.validate_python(record[name]) for name in ("instead_of", "roi"))
    return Drawn(str(record["camera"]), instead_of, roi)
