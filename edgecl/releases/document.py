"""What a release says of itself: release.json. Its exact bytes are signed, its digests cover every other file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgecl.errors import ReleaseRefused
from edgecl.files import sha256
from edgecl.manifest import MANIFEST_FILE, BackboneManifest, Digest, Precision

DOCUMENT_FILE, SIGNATURE_FILE = "release.json", "release.sig"
DOCUMENT_BYTES_MAX = 65_536
FILES_MAX = 64
NUMBER_MAX = 9999  # a folder's name has four digits
TRAINING_FILE = "training.safetensors"
REPORT_FILE, ACCEPTANCE_FILE = "report.md", "acceptance.json"

Part = Literal["device", "trunk", "fp32", "int8", "workstation"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Number = Annotated[int, Field(ge=1, le=NUMBER_MAX)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**9)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ReleaseFile(_Closed):
    """One file of a release.

    Attributes:
        bytes: its size.
        sha256: its digest.
        part: who needs it: every device (`device`); every device that has no file of this digest yet (`trunk`); a
            device of this precision (`fp32`, `int8`); only the next consolidation (`workstation`).
    """

    bytes: Annotated[int, Field(ge=1, le=2**31)]
    sha256: Digest
    part: Part


class About(_Closed):
    """How a release came about.

    Attributes:
        created_at: s, UTC since the epoch.
        recipe: by which the tail was trained.
        seed: of the training.
        accuracy_before: of the parent, mean over classes on held-out lessons, [0, 1].
        accuracy_after: of the release, on the same.
        classes: over which the mean is taken.
        views: held-out pictures.
    """

    created_at: Annotated[float, Field(ge=0.0, lt=2.0**33, allow_inf_nan=False)]
    recipe: Annotated[str, Field(min_length=1, max_length=100)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    accuracy_before: Share
    accuracy_after: Share
    classes: Count
    views: Count


class ReleaseDocument(About):
    """The contents of release.json.

    Attributes:
        number: of the release; rises, and is never used twice.
        parent: number of the release whose tail was trained further, None where it was an export.
        files: every file by name, but for this one and its signature.
    """

    format: Literal[1] = 1
    number: Number
    parent: Number | None
    files: Annotated[dict[Name, ReleaseFile], Field(min_length=1, max_length=FILES_MAX)]

    @field_validator("files")
    @classmethod
    def _not_itself(cls, files: dict[str, ReleaseFile]) -> dict[str, ReleaseFile]:
        if {DOCUMENT_FILE, SIGNATURE_FILE} & set(files):
            raise ValueError("names itself or its signature")
        if len({name.casefold() for name in files}) < len(files):
            raise ValueError("names a file twice")
        if MANIFEST_FILE not in files or files[MANIFEST_FILE].part != "device":
            raise ValueError(f"lacks {MANIFEST_FILE} for every device")
        return files

    @model_validator(mode="after")
    def _after_its_parent(self) -> ReleaseDocument:
        if self.parent is not None and self.parent >= self.number:
            raise ValueError(f"is no later than its parent {self.parent}")
        return self

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, so that equal documents have equal bytes and one signature."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> ReleaseDocument:
        """Read what `to_bytes` wrote, and nothing else.

        Raises:
            ReleaseRefused: too large, no JSON, not of this format, or written in another way.
        """
        if len(data) > DOCUMENT_BYTES_MAX:
            raise ReleaseRefused(
                f"found a {DOCUMENT_FILE} of {len(data)} bytes, expected at most {DOCUMENT_BYTES_MAX}; "
                "get the release from where it was made"
            )
        try:
            document = cls.model_validate_json(data)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"]) or "the whole"
            raise ReleaseRefused(
                f"found a {DOCUMENT_FILE} that is no release of format 1 ({where}: {fault['msg'].lower()}); "
                "get the release from where it was made, or update edgecl"
            ) from error
        if document.to_bytes() != data:
            raise ReleaseRefused(
                f"found a {DOCUMENT_FILE} that is not canonical JSON, expected sorted keys and nothing else; "
                "get the release from where it was made"
            )
        return document

    def names(self, parts: Iterable[Part]) -> set[str]:
        """Names of the files of these parts."""
        wanted = set(parts)
        return {name for name, file in self.files.items() if file.part in wanted}

    def needed(self, precision: Precision) -> set[str]:
        """Names of the files that a device of this precision must have in the end."""
        return self.names(("device", "trunk", precision))


def described(files: Mapping[str, bytes], manifest: BackboneManifest) -> dict[str, ReleaseFile]:
    """Every file with its size, digest and part, which follows from the manifest and the name."""
    return {
        name: ReleaseFile(bytes=len(data), sha256=sha256(data), part=part_of(name, manifest))
        for name, data in files.items()
    }


def part_of(name: str, manifest: BackboneManifest) -> Part:
    """Who needs the file `name` of a release with this manifest."""
    if name == TRAINING_FILE:
        return "workstation"
    if name == manifest.golden.file or any(name == graphs.trunk.file for graphs in manifest.graphs.values()):
        return "trunk"
    return next((precision for precision, graphs in manifest.graphs.items() if name == graphs.tail.file), "device")
