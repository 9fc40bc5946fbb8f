"""Bytes → picture and back. What an image costs is read from its header, before anything is decoded."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecl import IMAGE_PIXELS_MAX
from edgecl.errors import ImageRefused, InputRefused

IMAGE_BYTES_MAX = 64 * 2**20
WHOLE_PIXELS_MAX = 25_000_000  # what is larger is halved while it is read: whole, it may not fit a board with 1 GB
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

_PNG = b"\x89PNG\r\n\x1a\n"
_EXPECTED = "a whole JPEG, PNG, WebP, BMP or TIFF image"
# In a JPEG's coded data FF is followed by 00 (stuffing) or D0…D7 (restart); any other pair is a marker.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 … SOF15, without DHT, JPG and DAC
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length

Size = tuple[int, int]  # px, width × height


class _Damaged(Exception):
    """The bytes end early or contradict themselves; the text says how."""


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """The picture in the file `path`, uint8 (H, W, 3) BGR.

    Raises:
        ImageRefused: missing, unreadable, no regular file, too large, or its bytes are no whole image.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise ImageRefused(f"found no regular file at {path}, expected {_EXPECTED}; give the path of an image")
        size = path.stat().st_size
        _check_bytes(size, str(path))
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageRefused(f"found no file {path}, expected {_EXPECTED}; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ImageRefused(f"could not read {path}: {error}; expected {_EXPECTED}; check its rights") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """The picture in `data`, uint8 (H, W, 3) BGR, turned upright as its EXIF orientation says.

    Grey becomes three equal channels, 16 bits become 8, and what is transparent becomes white, as viewers show it. Of
    more than `WHOLE_PIXELS_MAX` pixels each four become one; what is cut out for the backbone is far smaller still, and
    embeddings stay the same within a cosine of 0.998.

    Args:
        data: the bytes of one JPEG, PNG, WebP, BMP or TIFF file.
        name: what messages call it, without passwords.

    Raises:
        ImageRefused: empty, truncated, damaged, of another kind, or more pixels than `IMAGE_PIXELS_MAX`.
    """
    _check_bytes(len(data), name)
    kind, header = _kind(data, name)
    try:
        size = header(data)
        _check_pixels(size, name)
        if kind == "PNG":
            data = _png_essence(data)
    except (_Damaged, struct.error, IndexError) as error:
        reason = error if isinstance(error, _Damaged) else "its header ends early"
        raise _refusal(name, f"a {kind} image that is truncated or damaged ({reason})") from error
    try:
        image = _decoded(data, halved=size[0] * size[1] > WHOLE_PIXELS_MAX)
    except (cv2.error, MemoryError) as error:
        # OpenCV names its own source lines here, and its pixel limit is the only thing left that a user could act on.
        raise _refusal(name, f"a {kind} image that is damaged or has over {IMAGE_PIXELS_MAX:,} pixels") from error
    if image is None or image.size == 0:
        raise _refusal(name, f"a {kind} image that is truncated or damaged")
    return image


def encode_jpeg(image: NDArray[np.uint8], longest_side_px: int, quality: int = 85) -> bytes:
    """`image` as JPEG, made smaller where its longest side exceeds `longest_side_px`; never made larger.

    Args:
        image: uint8 (H, W, 3) BGR.
        longest_side_px: > 0.
        quality: 1 … 100.

    Raises:
        ImageRefused: JPEG cannot hold the picture.
    """
    height, width = image.shape[:2]
    scale = longest_side_px / max(height, width)
    if scale < 1:
        smaller = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
    refused = ImageRefused(
        f"found a picture of shape {image.shape} and type {image.dtype} that JPEG cannot hold, "
        "expected uint8 (height, width, 3) of at most 65,535 px a side; convert it first"
    )
    try:
        done, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise refused from error
    if not done:
        raise refused
    return code.tobytes()


def jpeg_end(data: bytes | bytearray, start: int = 0) -> int | None:
    """Index just behind the JPEG that begins at `start`, or None while its end is not in `data` yet.

    The segments are walked: a thumbnail inside the EXIF segment holds end markers of its own.

    Raises:
        ValueError: what begins at `start` is no JPEG, or another one begins inside it.
    """
    if data[start : start + 2] != b"\xff\xd8":
        raise ValueError("no start marker")
    at = start + 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes before a marker
            at += 1
        if at + 4 > len(data):
            return at + 2 if data[at : at + 2] == b"\xff\xd9" else None
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0x00, 0xD8):
            raise ValueError(f"found {bytes(data[at : at + 2]).hex()} where a marker was expected, at byte {at}")
        if marker == 0xD9:
            return at + 2
        at += 2 if marker in _JPEG_ALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:  # coded data follow, up to the next marker
            found = _JPEG_MARKER.search(data, at)
            if found is None:
                return None
            at = found.start()


def _decoded(data: bytes, halved: bool) -> NDArray[np.uint8] | None:
    code = np.frombuffer(data, np.uint8)
    if _transparent(data):
        whole = cv2.imdecode(code, cv2.IMREAD_UNCHANGED)
        if whole is not None and whole.ndim == 3 and whole.shape[2] == 4:
            if halved:
                whole = cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            return _on_white(whole)
    image = cv2.imdecode(code, cv2.IMREAD_REDUCED_COLOR_2 if halved else cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, np.uint8)


def _transparent(data: bytes) -> bool:
    if data.startswith(_PNG):
        return data[25] in (4, 6) or b"tRNS" in data[: max(0, data.find(b"IDAT"))]
    if data[12:16] == b"VP8X":
        return bool(data[20] & 0x10)
    return data[12:16] == b"VP8L"


def _on_white(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """BGRA of 8 or 16 bits → uint8 (H, W, 3)."""
    if image.dtype == np.uint16:
        image = np.asarray(image, np.uint16) >> 8
    colours, alpha = np.asarray(image[..., :3], np.uint16), np.asarray(image[..., 3:], np.uint16)
    mixed: NDArray[np.uint8] = ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return mixed


def _jpeg_size(data: bytes) -> Size:
    try:
        end = jpeg_end(data)
    except ValueError as error:
        raise _Damaged(str(error)) from error
    if end is None:
        raise _Damaged(f"its end is missing after {len(data):,} bytes")
    at = 2
    while at < end:
        marker = data[at + 1]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xDA:
            break
        if marker == 0xFF:
            at += 1
        else:
            at += 2 if marker in _JPEG_ALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise _Damaged("it does not say its size")


def _png_size(data: bytes) -> Size:
    if data[12:16] != b"IHDR":
        raise _Damaged("it does not say its size")
    size: Size = struct.unpack_from(">II", data, 16)
    return size


def _png_essence(data: bytes) -> bytes:
    """The chunks that make the picture. Over the others (profiles, texts) libpng complains on the user's terminal."""
    at, kind, kept = len(_PNG), b"", [_PNG]
    while kind != b"IEND":
        if at + 12 > len(data):
            raise _Damaged(f"its end is missing after {len(data):,} bytes")
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise _Damaged(f"its end is missing after {len(data):,} bytes")
        # A small first letter marks an ancillary chunk, which readers may skip, so its damage is none.
        if kind[:1].isupper() and zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise _Damaged("a checksum does not fit")
        if kind[:1].isupper() or kind in (b"tRNS", b"eXIf"):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _webp_size(data: bytes) -> Size:
    if len(data) < 30 or 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise _Damaged(f"its end is missing after {len(data):,} bytes")
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _bmp_size(data: bytes) -> Size:
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _tiff_size(data: bytes) -> Size:
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    size = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in (256, 257):  # width, height; of 16 bits or of 32
            (size[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
    if len(size) < 2:
        raise _Damaged("it does not say its size")
    return size[256], size[257]


def _kind(data: bytes, name: str) -> tuple[str, Callable[[bytes], Size]]:
    """The name of the format and the reader of its header; few formats, so that few decoders meet strangers' bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG", _jpeg_size
    if data.startswith(_PNG):
        return "PNG", _png_size
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP", _webp_size
    if data.startswith(b"BM"):
        return "BMP", _bmp_size
    if data.startswith((b"II*\x00", b"MM\x00*")):
        return "TIFF", _tiff_size
    raise _refusal(name, f"{len(data):,} bytes that begin with {data[:8].hex(' ')} and are no such image")


def is_image(data: bytes) -> bool:
    """Whether `data` begins like an image of a kind that `decode_image` reads."""
    try:
        _kind(data, "")
    except ImageRefused:
        return False
    return True


def _check_bytes(size: int, name: str) -> None:
    if size == 0:
        raise _refusal(name, "0 bytes")
    if size > IMAGE_BYTES_MAX:
        raise ImageRefused(
            f"found {size / 2**20:,.0f} MB in {name}, expected an image of at most {IMAGE_BYTES_MAX // 2**20} MB; "
            "make it smaller first"
        )


def _check_pixels(size: Size, name: str) -> None:
    width, height = size
    if width * height > IMAGE_PIXELS_MAX:
        raise ImageRefused(
            f"found an image of {width:,} × {height:,} px in {name}, expected at most {IMAGE_PIXELS_MAX:,} pixels; "
            "make it smaller first"
        )


def _refusal(name: str, found: str) -> ImageRefused:
    return ImageRefused(f"found {found} in {name}, expected {_EXPECTED}; check the file or make it anew")


def is_image_file(path: Path) -> bool:
    """Whether `path` is named as an image is. Hidden files are none: macOS puts a ._0.jpg beside each 0.jpg."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def images_below(folder: Path) -> list[Path]:
    """Every image file in `folder` or below, by name; nothing that is hidden or in a hidden folder.

    Raises:
        InputRefused: there is none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if is_image_file(path)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not found:
        raise InputRefused(f"found no images in {folder}, expected at least one ({', '.join(sorted(SUFFIXES))})")
    return found
