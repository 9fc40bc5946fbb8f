"""The gate says which frames deserve an embedding, and why the others do not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgecl.cameras.sample import PHOTOGRAPHS, photograph, pose, view
from edgecl.config import GateSettings
from edgecl.gate import FrameGate, sharpness
from edgecl.types import Frame

FREE = GateSettings(rate_max_hz=1e6)


def frame(image: np.ndarray, at_s: float = 0.0, camera: str = "hand") -> Frame:
    return Frame(image, 1000.0 + at_s, 50.0 + at_s, camera)


def scene(at_s: float = 0.0, name: str = "coffee") -> np.ndarray:
    """A sharp view: the blurs of the simulated hand are left out."""
    seen = pose(0, at_s)
    return view(photograph(name), type(seen)(**{**vars(seen), "defocus_px": 0.0, "motion_px": 0.0}))


def reason(image: np.ndarray) -> str | None:
    return FrameGate(FREE).check(frame(image)).reason


def test_a_sharp_frame_in_good_light_is_accepted() -> None:
    verdict = FrameGate(GateSettings()).check(frame(scene()))
    assert verdict.accepted and verdict.reason is None


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_photograph_is_accepted_as_a_still(name: str) -> None:
    assert reason(photograph(name)) is None


def test_a_covered_lens_is_too_dark() -> None:
    noise = np.random.default_rng(0).integers(0, 6, (480, 640, 3), np.uint8)
    assert reason(noise) == "too dark"


def test_a_lens_towards_the_sun_is_too_bright() -> None:
    assert reason(np.full((480, 640, 3), 254, np.uint8)) == "too bright"


def test_a_thing_on_a_white_ground_is_not_too_bright() -> None:
    image = np.full((480, 640, 3), 255, np.uint8)
    image[180:300, 260:400] = cv2.resize(photograph("coffee"), (140, 120))
    assert reason(image) is None


def test_a_bare_wall_is_blurred() -> None:
    wall = np.random.default_rng(0).normal(128, 2, (480, 640, 3)).astype(np.uint8)
    assert reason(wall) == "blurred"


def test_a_frame_that_loses_the_detail_of_the_last_is_blurred_though_a_still_would_pass() -> None:
    soft = cv2.GaussianBlur(scene(), (0, 0), 6)
    gate = FrameGate(FREE)
    assert gate.check(frame(scene(), 0.0)).accepted
    assert gate.check(frame(soft, 0.2)).reason == "blurred" and reason(soft) is None


def test_a_scene_with_less_detail_is_accepted_after_some_seconds() -> None:
    gate = FrameGate(FREE)
    gate.check(frame(scene(name="page"), 0.0))
    answers = [gate.check(frame(scene(name="moon", at_s=at_s), at_s)).accepted for at_s in (0.1, 8.0)]
    assert answers == [False, True]


def test_the_same_picture_again_is_unchanged() -> None:
    gate = FrameGate(FREE)
    gate.check(frame(scene(), 0.0))
    assert gate.check(frame(scene(), 0.2)).reason == "unchanged"


def test_a_whipped_camera_is_moving() -> None:
    gate = FrameGate(FREE)
    gate.check(frame(scene(name="page"), 0.0))
    assert gate.check(frame(255 - scene(name="page"), 0.1)).reason == "moving"


def test_a_change_between_frames_far_apart_is_no_motion() -> None:
    gate = FrameGate(FREE)
    gate.check(frame(scene(name="page"), 0.0))
    assert gate.check(frame(255 - scene(name="page"), 1.0)).accepted


@pytest.mark.parametrize("fps", (5, 15, 30, 60))
def test_no_more_frames_are_accepted_than_the_rate_allows(fps: int) -> None:
    gate = FrameGate(GateSettings(rate_max_hz=10))
    accepted = sum(gate.check(frame(scene(n / fps), n / fps)).accepted for n in range(2 * fps))
    assert min(fps, 7) * 2 <= accepted <= 21


def test_a_frame_after_a_refused_one_need_not_wait() -> None:
    gate = FrameGate(GateSettings(rate_max_hz=1))
    assert not gate.check(frame(np.zeros((480, 640, 3), np.uint8), 0.0)).accepted
    assert gate.check(frame(scene(), 0.6)).accepted


def test_a_recording_is_judged_by_its_own_time_however_fast_it_is_read() -> None:
    gate = FrameGate(GateSettings(rate_max_hz=10))
    frames = [Frame(scene(n / 5), 1000 + n / 5, 50 + n / 1000, "cup.mp4") for n in range(5)]
    assert all(gate.check(one).accepted for one in frames)


def test_a_recording_that_a_busy_machine_reads_slowly_is_judged_as_by_any_other() -> None:
    gate = FrameGate(GateSettings(rate_max_hz=10))
    frames = [Frame(scene(n / 20), 1000 + n / 20, 50 + n / 2, "cup.mp4") for n in range(6)]
    assert [gate.check(one).accepted for one in frames] == [True, False] * 3


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    gate = FrameGate(GateSettings(rate_max_hz=10))
    gate.check(Frame(scene(0.0), 1000.0, 50.0, "hand"))
    assert gate.check(Frame(scene(0.2), 400.0, 50.2, "hand")).accepted


def test_stills_of_a_folder_are_judged_each_alone() -> None:
    gate = FrameGate(GateSettings())
    stills = [frame(photograph(name), 0.0, f"photos/{name}.png") for name in PHOTOGRAPHS]
    assert all(gate.check(still).accepted for still in [*stills, stills[0]])


def test_frames_may_change_their_size() -> None:
    gate = FrameGate(FREE)
    gate.check(frame(scene(), 0.0))
    assert gate.check(frame(scene()[:200], 0.2)).accepted


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (2000, 1, 3), (3, 3, 3)])
def test_a_frame_of_any_shape_gets_an_answer(shape: tuple[int, int, int]) -> None:
    assert reason(np.full(shape, 128, np.uint8)) == "blurred"


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (20, 30), np.uint8)
    padded = np.pad(grey.astype(float), 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * padded[1:-1, 1:-1]
    assert sharpness(grey) == pytest.approx(laplacian.var(), rel=1e-9)
