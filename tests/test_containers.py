"""A video that is cut off or damaged is not taken for a whole one, and a whole one never for a damaged one."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from commands import save_video

from edgecl.cameras import open_camera
from edgecl.config import CameraSettings
from edgecl.errors import CameraStalled

SETTINGS = CameraSettings()
WHOLE = sorted((Path(os.environ["EDGECL_DATA"]) / "video").glob("*.mp4")) if "EDGECL_DATA" in os.environ else []


def frames(path: Path) -> int:
    return sum(1 for _ in open_camera(str(path), SETTINGS))


def with_edit(source: Path, target: Path, share: float) -> Path:
    """The video `source` with an edit list that shows only the first `share` of it."""
    data = bytearray(source.read_bytes())
    at = data.index(b"elst") + 12
    (duration,) = struct.unpack_from(">I", data, at)
    struct.pack_into(">I", data, at, round(duration * share))
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("video", WHOLE, ids=lambda path: path.name)
def test_no_real_video_that_is_whole_is_refused(video):
    assert frames(video) > 0


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mov", ".mkv"])
def test_a_whole_video_of_any_container_is_read_to_its_end(tmp_path, suffix):
    assert frames(save_video(tmp_path / f"cat{suffix}", "cat")) == 40


def test_a_video_that_is_cut_off_says_how_many_of_its_frames_were_found(tmp_path):
    whole = save_video(tmp_path / "whole.avi", "cat").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CameraStalled, match=r"found \d\d of the 40 frames that .*cut\.avi says it holds, expected"):
        frames(cut)


@pytest.mark.skipif(not WHOLE, reason="EDGECL_DATA names no folder with video/*.mp4")
@pytest.mark.parametrize("harm", [lambda data: data[: len(data) // 2], lambda data: data[:600_000] + bytes(100_000)])
def test_a_real_video_that_is_cut_off_or_damaged_is_refused(tmp_path, harm):
    (tmp_path / "cut.mp4").write_bytes(harm((WHOLE[0].parent / "cup.mp4").read_bytes()))
    with pytest.raises(CameraStalled, match="of the 217 frames"):
        frames(tmp_path / "cut.mp4")


def test_a_clip_that_was_trimmed_without_being_made_anew_is_whole(tmp_path):
    clip = with_edit(save_video(tmp_path / "long.mp4", "cat"), tmp_path / "trimmed.mp4", 0.5)
    assert 19 <= frames(clip) <= 22


def test_a_trimmed_clip_that_is_damaged_is_refused(tmp_path):
    clip = with_edit(save_video(tmp_path / "long.mp4", "cat"), tmp_path / "trimmed.mp4", 0.5)
    data = bytearray(clip.read_bytes())
    at = data.index(b"mdat") + 4
    data[at + 30_000 : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - at - 30_000)
    clip.write_bytes(data)
    with pytest.raises(CameraStalled, match="of the 20 frames"):
        frames(clip)
