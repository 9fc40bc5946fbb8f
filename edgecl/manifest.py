"""What travels with a backbone: how it is fed, what it gives, which files it is made of, and how to check it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgecl.errors import BackboneDamaged, BackboneMissing
from edgecl.files import sha256

MANIFEST_FILE = "manifest.json"
MANIFEST_BYTES_MAX = 65_536
FORMAT = 2
Precision = Literal["int8", "fp32"]
Files = Path | Mapping[str, bytes]  # a folder; or files by name that have not come to lie in one yet
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Part):
    """A file beside the manifest."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    bytes: Annotated[int, Field(ge=1)]
    sha256: Digest


class InputSpec(_Part):
    """From a camera's picture to the trunk's input: the one definition of preprocessing.

    The middle `crop` of the shorter side is cut out as a square (see `side`) and resized to `size` with area averaging
    (OpenCV's INTER_AREA), channels are put in RGB order. Mean and standard deviation are applied inside the trunk; they
    stand here for the reader.
    """

    size: Annotated[int, Field(ge=8, le=2048)]
    crop: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    resize: Literal["area"] = "area"
    colour: Literal["RGB"] = "RGB"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def side(self, height: int, width: int) -> int:
        """Side in px of the square that is cut out of a picture of this size.

        Where a multiple of `size` lies within 2 % of it, that multiple is taken: averaging whole pixels is exact and
        twenty times as fast. Pictures of 480 and 720 lines are cut to 448 and 672 for a network of 224.
        """
        shorter = min(height, width)
        side = max(1, round(shorter * self.crop))
        whole = max(1, round(side / self.size)) * self.size
        return whole if 50 * abs(whole - side) <= side and whole <= shorter else side


class LatentCode(_Part):
    """The fixed scale and zero point of an int8 trunk's output."""

    scale: Annotated[float, Field(gt=0.0)]
    zero_point: Annotated[int, Field(ge=-128, le=127)]


class Graphs(_Part):
    """Trunk and tail in one precision. `latent` is None where the latent is float32."""

    trunk: FileEntry
    tail: FileEntry
    latent: LatentCode | None = None


class BackboneManifest(_Part):
    """The contents of manifest.json.

    `spread` is the mean squared distance of an embedding from the mean embedding of the same thing, that is the trace
    of the covariance within a class: measured at export over things seen through a simulated camera in someone's hand.
    It is what a device believes of a class's width before it has seen enough of its own.

    `golden` belongs to the trunk: pictures and what the trunk makes of them. `answers` belongs to the tail: what the
    tail makes of that. So a new tail for the same trunk travels without the pictures.
    """

    format: Literal[2] = 2
    name: str
    input: InputSpec
    cut: str
    latent_shape: tuple[int, int, int]
    dimension: Annotated[int, Field(ge=1)]
    spread: Annotated[float, Field(gt=0.0)]
    transform: Literal["power-l2", "signed-power-l2"]
    opset: Annotated[int, Field(ge=18)]
    graphs: dict[Precision, Graphs]
    golden: FileEntry
    answers: FileEntry
    license: str
    source: str

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, so that equal manifests have equal digests."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1) + "\n").encode("utf-8")

    def entries(self) -> list[FileEntry]:
        """Every file that belongs to the backbone beside the manifest itself."""
        graphs = (entry for graphs in self.graphs.values() for entry in (graphs.trunk, graphs.tail))
        return [*graphs, self.golden, self.answers]


def read_manifest(folder: Files) -> BackboneManifest:
    """Read manifest.json of `folder`.

    Raises:
        BackboneMissing: there is none.
        BackboneDamaged: it is too large, no JSON, or not of this format.
    """
    path = place(folder, MANIFEST_FILE)
    try:
        data = _read(folder, MANIFEST_FILE)
    except FileNotFoundError as error:
        raise BackboneMissing(
            f"found no {path}, expected an exported backbone; run `edgecl export` on a machine with edgecl[train]"
        ) from error
    except OSError as error:
        raise BackboneDamaged(f"could not read {path}: {error}; check the disk or export the backbone again") from error
    if len(data) > MANIFEST_BYTES_MAX:
        raise BackboneDamaged(f"found {path} of {len(data)} bytes, expected at most {MANIFEST_BYTES_MAX}")
    try:
        return BackboneManifest.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the whole"
        raise BackboneDamaged(
            f"{path} is no backbone manifest of format {FORMAT} ({where}: {fault['msg'].lower()}); "
            "export the backbone again"
        ) from error


def read_verified(folder: Files, entry: FileEntry) -> bytes:
    """The bytes of one file of the backbone, after size and digest were compared.

    Raises:
        BackboneDamaged: missing, of another size, or of another digest.
    """
    path = place(folder, entry.file)
    try:
        size = path.stat().st_size if isinstance(folder, Path) else len(_read(folder, entry.file))
        data = _read(folder, entry.file) if size == entry.bytes else b""
    except OSError as error:
        raise BackboneDamaged(f"could not read {path}: {error}; export or install the backbone again") from error
    if size != entry.bytes:
        raise BackboneDamaged(
            f"found {size} bytes in {path}, expected {entry.bytes}; export or install the backbone again"
        )
    digest = sha256(data)
    if digest != entry.sha256:
        raise BackboneDamaged(
            f"found {path} with sha256 {digest[:12]}…, expected {entry.sha256[:12]}…; "
            "the file was changed or damaged, export or install the backbone again"
        )
    return data


def place(folder: Files, name: str) -> Path:
    """What to call a file in a message."""
    return folder / name if isinstance(folder, Path) else Path(name)


def _read(folder: Files, name: str) -> bytes:
    if isinstance(folder, Path):
        return (folder / name).read_bytes()
    if name not in folder:
        raise FileNotFoundError(f"no file {name}")
    return folder[name]
