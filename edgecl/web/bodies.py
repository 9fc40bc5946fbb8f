"""Bodies that are no JSON: which kinds are taken and given, and how large one may be that is taken."""

from __future__ import annotations

from typing import Any

from edgecl.images import IMAGE_BYTES_MAX

JSON_MAX = 65_536  # bytes
PICTURE_MAX = IMAGE_BYTES_MAX
LESSON_MAX = 4 * IMAGE_BYTES_MAX  # many pictures
RELEASE_MAX = 64 * 2**20
MEMORY_MAX = 4 * 2**30  # bounded by what the disk holds, too

PICTURES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
_BINARY = {"type": "string", "format": "binary"}


def taken(what: str, bytes_max: int, *kinds: str) -> dict[str, Any]:
    """What a schema says of a route that takes `what`, of one of these kinds, as it comes."""
    content = {kind: {"schema": _BINARY} for kind in (*kinds, "application/octet-stream")}
    description = f"{what}; at most {bytes_max / 2**20:,.0f} MiB."
    return {"requestBody": {"required": True, "description": description, "content": content}}


def given(kind: str) -> dict[int | str, dict[str, Any]]:
    """What a schema says of a route that answers with this kind."""
    schema = {"type": "string"} if kind.startswith("text/") else _BINARY
    return {200: {"content": {kind: {"schema": schema}}}}


A_PICTURE = taken("A JPEG, PNG, WebP, BMP or TIFF", PICTURE_MAX, *PICTURES)
JPEG = given("image/jpeg")
