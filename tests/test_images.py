"""What is no whole image is refused with one message; what is one comes out upright, in colour, 8 bits."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from edgecl import images
from edgecl.errors import ImageRefused
from edgecl.images import IMAGE_BYTES_MAX, decode_image, encode_jpeg, images_below, is_image, jpeg_end, read_image

SUFFIXES = (".jpg", ".png", ".webp", ".bmp", ".tiff")


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    """Smooth, coloured and not symmetrical, so that a turned or swapped picture shows."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [255 * columns / width, 255 * rows / height, 128 + 100 * np.sin(columns / 9 + rows / 7)]
    return np.stack(planes, axis=2).astype(np.uint8)


def coded(suffix: str, image: np.ndarray | None = None) -> bytes:
    return cv2.imencode(suffix, picture() if image is None else image)[1].tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A black-and-white PNG of side × side px, made without ever holding it."""
    press = zlib.compressobj(1)
    row = bytes(1 + side // 8)
    data = b"".join(press.compress(row) for _ in range(side)) + press.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff + jpeg[2:]


@pytest.mark.parametrize("suffix", (".png", ".bmp", ".tiff"))
def test_a_lossless_image_comes_back_bit_by_bit(suffix: str) -> None:
    assert (decode_image(coded(suffix), "x") == picture()).all()


@pytest.mark.parametrize("suffix", (".jpg", ".webp"))
def test_a_lossy_image_comes_back_nearly_the_same(suffix: str) -> None:
    difference = np.abs(decode_image(coded(suffix), "x").astype(int) - picture())
    assert difference.mean() < 4


def test_grey_becomes_three_equal_channels() -> None:
    grey = picture()[:, :, 2]
    assert (decode_image(coded(".png", grey), "x") == grey[:, :, None]).all()


def test_sixteen_bits_become_eight() -> None:
    deep = picture().astype(np.uint16) * 257
    assert (decode_image(coded(".png", deep), "x") == picture()).all()


def test_what_is_transparent_becomes_white_and_what_is_not_stays() -> None:
    alpha = np.zeros((60, 80, 1), np.uint8)
    alpha[:, 40:] = 255
    image = decode_image(coded(".png", np.concatenate([picture(), alpha], axis=2)), "x")
    assert (image[:, :40] == 255).all() and (image[:, 40:] == picture()[:, 40:]).all()


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(3, lambda image: np.rot90(image, 2)), (6, lambda image: np.rot90(image, -1)), (8, np.rot90), (2, np.fliplr)],
)
def test_the_orientation_in_the_exif_data_is_followed(orientation: int, turned) -> None:
    plain = coded(".jpg")
    image = decode_image(with_exif(plain, orientation), "x")
    assert (image == turned(decode_image(plain, "x"))).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", (0.1, 0.5, 0.9, 0.99))
def test_a_truncated_image_is_refused_and_nothing_is_printed(
    suffix: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = coded(suffix)
    with pytest.raises(ImageRefused, match=r"found .* in cup, expected .*; check"):
        decode_image(data[: int(len(data) * share)], "cup")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("lost", (1, 2, 3, 8))
@pytest.mark.parametrize("suffix", (".jpg", ".png"))
def test_an_image_that_lacks_its_last_bytes_is_refused(suffix: str, lost: int) -> None:
    with pytest.raises(ImageRefused):
        decode_image(coded(suffix)[:-lost], "x")


@pytest.mark.parametrize("data", [b"", b"\0", b"hello, world", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0"])
def test_what_is_no_image_is_refused_and_nothing_is_printed(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageRefused, match=r"found .* in cup, expected .*; check"):
        decode_image(data, "cup")
    assert capfd.readouterr().err == ""


def test_a_message_names_the_file_that_was_found_wanting(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("not a picture")
    with pytest.raises(ImageRefused, match=r"notes\.jpg"):
        read_image(tmp_path / "notes.jpg")


def test_a_missing_file_a_folder_and_an_impossible_path_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path, "a\0b.jpg"):
        with pytest.raises(ImageRefused):
            read_image(path)


def test_a_file_over_the_limit_is_refused_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "big.jpg").open("wb") as file:
        file.truncate(IMAGE_BYTES_MAX + 1)  # sparse
    with pytest.raises(ImageRefused, match="64 MB"):
        read_image(tmp_path / "big.jpg")


def test_a_bomb_of_40000_by_40000_px_is_refused_before_it_is_decoded() -> None:
    data = bomb(40_000)
    before = psutil.Process().memory_info().rss
    with pytest.raises(ImageRefused, match=r"40,000 × 40,000 px"):
        decode_image(data, "x")
    assert psutil.Process().memory_info().rss - before < 20 * 2**20


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_pixel_limit_holds_for_every_format(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "IMAGE_PIXELS_MAX", 60 * 80 - 1)
    with pytest.raises(ImageRefused, match=r"80 × 60 px .* expected at most 4,799 pixels"):
        decode_image(coded(suffix), "x")


def test_a_photograph_of_48_megapixels_is_read_at_half_its_size() -> None:
    small = picture(756, 1008)
    image = decode_image(coded(".jpg", cv2.resize(small, (8064, 6048))), "x")
    assert image.shape == (3024, 4032, 3)
    assert np.abs(cv2.resize(image, (1008, 756), interpolation=cv2.INTER_AREA).astype(int) - small).mean() < 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_read_at_half_its_size_is_the_mean_of_each_four_pixels(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = coded(suffix)
    whole = decode_image(data, "x").astype(float)
    monkeypatch.setattr(images, "WHOLE_PIXELS_MAX", 60 * 80 - 1)
    means = whole.reshape(30, 2, 40, 2, 3).mean(axis=(1, 3))
    assert np.abs(decode_image(data, "x") - means).mean() < 1


def test_a_transparent_picture_too_is_read_at_half_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "WHOLE_PIXELS_MAX", 60 * 80 - 1)
    image = decode_image(coded(".png", np.zeros((60, 80, 4), np.uint8)), "x")
    assert image.shape == (30, 40, 3) and (image == 255).all()


def test_what_is_read_at_half_its_size_is_turned_upright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "WHOLE_PIXELS_MAX", 60 * 80 - 1)
    plain = coded(".jpg")
    turned = decode_image(with_exif(plain, 6), "x")
    assert (turned == np.rot90(decode_image(plain, "x"), -1)).all()


def test_200_mutated_images_are_decoded_or_refused_and_nothing_else() -> None:
    dice = random.Random(0)
    for number in range(200):
        data = bytearray(coded(SUFFIXES[number % len(SUFFIXES)]))
        for _ in range(dice.choice((1, 3, 20))):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            image = decode_image(bytes(data), "x")
        except ImageRefused:
            continue
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


def test_a_png_with_a_flipped_bit_is_refused() -> None:
    data = bytearray(coded(".png"))
    data[len(data) // 2] ^= 1
    with pytest.raises(ImageRefused, match="checksum"):
        decode_image(bytes(data), "x")


def test_a_png_with_a_broken_colour_profile_is_read_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    plain = coded(".png")
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))
    image = decode_image(plain[:33] + profile + plain[33:], "x")
    assert (image == picture()).all() and capfd.readouterr().err == ""


def test_a_jpeg_with_a_whole_jpeg_inside_its_header_ends_at_its_own_end() -> None:
    thumbnail, outer = coded(".jpg", picture(8, 8)), coded(".jpg")
    data = outer[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + outer[2:]
    assert jpeg_end(data + b"rest") == len(data)


def test_an_encoded_jpeg_is_at_most_as_large_as_asked_and_never_enlarged() -> None:
    assert decode_image(encode_jpeg(picture(600, 800), 160, 90), "x").shape == (120, 160, 3)
    assert decode_image(encode_jpeg(picture(60, 80), 160, 90), "x").shape == (60, 80, 3)


def test_an_encoded_jpeg_shows_the_same_picture() -> None:
    image = picture(120, 160)
    assert np.abs(decode_image(encode_jpeg(image, 160, 95), "x").astype(int) - image).mean() < 3


def test_what_jpeg_cannot_hold_is_refused() -> None:
    with pytest.raises(ImageRefused, match="JPEG cannot hold"):
        encode_jpeg(np.zeros((1, 70_000, 3), np.uint8), 70_000, 90)


def test_an_image_is_known_by_its_first_bytes() -> None:
    assert all(is_image(coded(suffix)[:16]) for suffix in SUFFIXES) and not is_image(b"RIFF....AVI ")


def test_hidden_files_and_folders_are_no_images_of_a_folder(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/._1.jpg", ".cache/2.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert images_below(tmp_path) == [tmp_path / "a" / "1.jpg"]
