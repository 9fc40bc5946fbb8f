"""JPEG pictures out of a stream of bytes, whatever stands between them."""

from __future__ import annotations

import re

from edgecl.images import IMAGE_BYTES_MAX, jpeg_end

_START = re.compile(rb"\xff\xd8\xff")


class JpegSplitter:
    """Cuts a concatenated or multipart JPEG stream into its pictures.

    Boundaries and headers of multipart streams are skipped, not parsed: cameras differ in how they get them wrong.
    A picture that is cut off by the start of the next is dropped.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; give back the pictures that they complete."""
        self._bytes += data
        complete: list[bytes] = []
        while (found := _START.search(self._bytes)) is not None:
            del self._bytes[: found.start()]
            try:
                end = jpeg_end(self._bytes)
            except ValueError:
                del self._bytes[:2]  # damaged: go on at the next start
                continue
            if end is None:
                if len(self._bytes) > IMAGE_BYTES_MAX:
                    self._bytes.clear()
                return complete
            complete.append(bytes(self._bytes[:end]))
            del self._bytes[:end]
        del self._bytes[:-2]  # a start marker may be cut in two
        return complete
