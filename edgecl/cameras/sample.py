"""Real photographs through a simulated camera in someone's hand: for a first try, for tests and for calibration."""

from __future__ import annotations

import functools
import importlib.util
import math
import re
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecl.config import CameraSettings
from edgecl.errors import CameraUnavailable, ExtraMissing
from edgecl.images import read_image
from edgecl.types import Frame

FORM = "sample:// or sample://cat,coffee?seed=0&fps=15&frames=0&each=4 (photographs, as a camera sees them)"

WIDTH_PX, HEIGHT_PX = 640, 480
SHOWN_S = 4.0  # each photograph, where a camera walks through several and `each` does not say otherwise
_FPS = 15.0  # of the simulated hand where the address gives none

_FILES = {  # in the wheel of scikit-image, so nothing is downloaded; name here → name there
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
    "coins": "coins.png",
    "camera": "camera.png",
    "clock": "clock_motion.png",
    "brick": "brick.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "hubble": "hubble_deep_field.jpg",
    "moon": "moon.png",
    "retina": "retina.jpg",
    "tissue": "ihc.png",
    "page": "page.png",
    "text": "text.png",
}
PHOTOGRAPHS: tuple[str, ...] = tuple(_FILES)
# That may be handed on: of the other three scikit-image names no terms.
FREE: tuple[str, ...] = tuple(name for name in _FILES if name not in ("motorcycle", "moon", "page"))

_ADDRESS = re.compile(r"sample://([^?]*)(?:\?(.*))?")


def accepts(url: str) -> bool:
    """`sample://`."""
    return url.startswith("sample://")


def is_live(url: str) -> bool:
    """Where it keeps time, that is with `fps`."""
    return _Request.parse(url).fps > 0


def frames(url: str, settings: CameraSettings) -> Generator[Frame, None, None]:
    """640 × 480 frames; the same address gives the same pictures, bit by bit, on the same machine.

    Several photographs, without a name all of them, are shown in turn, `each` for so many seconds. With `fps` frames
    come in real time, without it as fast as they are asked for; with `frames` they end.

    Raises:
        CameraUnavailable: no such photograph, or a part of the address that is not understood.
        ExtraMissing: the photographs are not installed.
    """
    request = _Request.parse(url)
    step_s = 1 / (request.fps or _FPS)
    started, started_at = time.monotonic(), time.time()
    index = 0
    while index < (request.frames or math.inf):
        at_s = index * step_s
        image = view(photograph(request.shown(at_s)), pose(request.seed, at_s))
        if request.fps:
            time.sleep(max(0.0, started + at_s - time.monotonic()))
        # Unpaced frames are a recording: their distance is that of the simulated camera, not of whoever reads them.
        taken_at = time.time() if request.fps else started_at + at_s
        yield Frame(image, taken_at, time.monotonic(), url, index)
        index += 1


def calibration_frames(count: int, seed: int = 0, names: Sequence[str] = PHOTOGRAPHS) -> Iterator[NDArray[np.uint8]]:
    """`count` frames, uint8 (480, 640, 3) BGR, of these photographs in turn, each from another moment of the hand.

    Raises:
        ExtraMissing: the photographs are not installed.
    """
    for number in range(count):
        yield view(photograph(names[number % len(names)]), pose(seed, 7.3 * number))


@functools.lru_cache(maxsize=len(_FILES))
def photograph(name: str) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) BGR, read-only.

    Raises:
        CameraUnavailable: no photograph has this name.
        ExtraMissing: the photographs are not installed.
    """
    if name not in _FILES:
        raise CameraUnavailable(f"found no photograph {name!r}, expected one of: {', '.join(PHOTOGRAPHS)}")
    # Looked for, not imported: that takes a second, and only files are used.
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise ExtraMissing("sample://", "demo")
    path = Path(package.submodule_search_locations[0], "data", _FILES[name])
    if not path.is_file():
        raise ExtraMissing(f"sample://{name}", "demo")
    image = read_image(path)
    image.flags.writeable = False
    return image


@dataclass(frozen=True)
class Pose:
    """How the simulated camera looks at the photograph in one moment.

    Attributes:
        x: centre of the view, −1 left … 1 right.
        y: centre of the view, −1 top … 1 bottom.
        zoom: 1 shows all of the photograph's shorter side, 2 half of it.
        turn: rotation, rad.
        gain: of the light.
        warmth: 0 neutral, above it redder, below it bluer.
        defocus_px: standard deviation of the blur.
        motion_px: length of the blur by motion.
        motion_angle: its direction, rad.
        noise: standard deviation of the sensor's noise, grey levels.
        noise_seed: which noise.
    """

    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0
    turn: float = 0.0
    gain: float = 1.0
    warmth: float = 0.0
    defocus_px: float = 0.0
    motion_px: float = 0.0
    motion_angle: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0


def pose(seed: int, at_s: float) -> Pose:
    """The hand `seed` at `at_s` seconds; a pure function, smooth in time but for short blurs and the noise."""

    def wander(channel: int, period_s: float) -> float:
        """Smooth, in [−1, 1]: three sines with no common period."""
        dice = np.random.default_rng((seed, channel))
        value = 0.0
        for weight, share in ((0.6, 1.0), (0.3, 0.43), (0.1, 0.19)):
            value += weight * math.sin(
                2 * math.pi * (at_s / (period_s * share * dice.uniform(0.8, 1.2)) + dice.uniform())
            )
        return value

    second = math.floor(at_s)
    moment = np.random.default_rng((seed, 100, second))
    blurred, kind = moment.uniform() < 0.15, moment.uniform()
    depth = math.sin(math.pi * (at_s - second)) if blurred else 0.0
    return Pose(
        x=wander(0, 7.0),
        y=wander(1, 9.0),
        zoom=1.6 + 0.5 * wander(2, 11.0),
        turn=0.3 * wander(3, 13.0),
        gain=1.0 + 0.35 * wander(4, 17.0),
        warmth=0.12 * wander(5, 19.0),
        defocus_px=5.0 * depth if kind < 0.5 else 0.0,
        motion_px=25.0 * depth if kind >= 0.5 else 0.0,
        motion_angle=moment.uniform(0, math.pi),
        noise=2.5 + 1.5 * wander(6, 5.0),
        noise_seed=seed * 1_000_003 + round(at_s * 1000),
    )


def view(photo: NDArray[np.uint8], pose: Pose) -> NDArray[np.uint8]:
    """What the camera sees of `photo` in `pose`: uint8 (480, 640, 3) BGR. Pure: the same arguments, the same bits."""
    image: cv2.typing.MatLike = _framed(photo, pose)
    if pose.defocus_px > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), pose.defocus_px)
    if pose.motion_px > 1.5:
        image = cv2.filter2D(image, -1, _streak(pose.motion_px, pose.motion_angle))
    gains = pose.gain * np.array([1 - pose.warmth, 1.0, 1 + pose.warmth])
    curves = np.clip(np.arange(256)[:, None] * gains + 0.5, 0, 255).astype(np.uint8)  # (256, 3)
    image = cv2.LUT(image, curves[None])
    # One field, cropped elsewhere in each moment: fresh noise for 300,000 pixels would cost more than all the rest.
    field = _noise_field()
    dice = np.random.default_rng(pose.noise_seed & 0xFFFF_FFFF_FFFF)
    top, left = dice.integers(0, field.shape[0] - HEIGHT_PX), dice.integers(0, field.shape[1] - WIDTH_PX)
    noise = field[top : top + HEIGHT_PX, left : left + WIDTH_PX]
    return np.asarray(cv2.addWeighted(image, 1.0, noise, max(0.0, pose.noise) / 16, 0.0, dtype=cv2.CV_8U), np.uint8)


def _framed(photo: NDArray[np.uint8], pose: Pose) -> NDArray[np.uint8]:
    height, width = photo.shape[:2]
    scale = pose.zoom * max(WIDTH_PX / width, HEIGHT_PX / height)  # px of the view for one of the photograph
    x = width / 2 + pose.x * max(0.0, width - WIDTH_PX / scale) / 2
    y = height / 2 + pose.y * max(0.0, height - HEIGHT_PX / scale) / 2
    cos, sin = scale * math.cos(pose.turn), scale * math.sin(pose.turn)
    matrix = np.array(
        [[cos, -sin, WIDTH_PX / 2 - cos * x + sin * y], [sin, cos, HEIGHT_PX / 2 - sin * x - cos * y]], np.float64
    )
    seen = cv2.warpAffine(
        photo, matrix, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(seen, np.uint8)


def _streak(length_px: float, angle: float) -> NDArray[np.float32]:
    """Kernel of a blur along a line."""
    half = math.ceil(length_px / 2)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    end = (round(half + length_px / 2 * math.cos(angle)), round(half + length_px / 2 * math.sin(angle)))
    cv2.line(kernel, (2 * half - end[0], 2 * half - end[1]), end, 1.0)
    result: NDArray[np.float32] = kernel / kernel.sum()
    return result


@functools.cache
def _noise_field() -> NDArray[np.int16]:
    """Normal noise with a standard deviation of 16, larger than a frame."""
    dice = np.random.default_rng(20)
    noise = dice.standard_normal((HEIGHT_PX + 96, WIDTH_PX + 96, 3), np.float32)
    return np.rint(16 * noise).astype(np.int16)


@dataclass(frozen=True)
class _Request:
    """What a `sample://` address asks for; 0 means none."""

    names: tuple[str, ...]
    seed: int = 0
    fps: float = 0.0
    frames: int = 0
    each_s: float = SHOWN_S

    @classmethod
    def parse(cls, url: str) -> _Request:
        """Read the address.

        Raises:
            CameraUnavailable: a part of it is not understood.
        """
        found = _ADDRESS.fullmatch(url)
        named = found[1].strip("/") if found else url
        names = tuple(named.split(",")) if named else PHOTOGRAPHS
        for name in names:
            if name not in PHOTOGRAPHS:
                there = ", ".join(PHOTOGRAPHS)
                raise CameraUnavailable(f"found no photograph {name!r}, expected one of: {there}; or none")
        try:
            values = dict(parse_qsl((found[2] if found else "") or "", keep_blank_values=True, strict_parsing=False))
            seed, fps, frames = (values.pop(key, "0") for key in ("seed", "fps", "frames"))
            request = cls(names, int(seed), float(fps), int(frames), float(values.pop("each", SHOWN_S)))
            sound = 0 <= request.seed < 2**31 and 0 <= request.fps <= 240 and request.frames >= 0
            if values or not sound or not 0.1 <= request.each_s <= 3600:
                raise ValueError
        except ValueError:
            raise CameraUnavailable(
                f"found {url!r}, expected {FORM} with whole seed and frames ≥ 0, fps from 0 to 240, each from 0.1 to "
                "3600; mend the address"
            ) from None
        return request

    def shown(self, at_s: float) -> str:
        """The photograph to show."""
        return self.names[int(at_s // self.each_s) % len(self.names)]
