"""What the board says of itself: how hot it is, and whether it has to hold itself back."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SYS, TREE = Path("/sys"), Path("/proc/device-tree")
PLAUSIBLE_C = (-40.0, 150.0)  # a sensor that is off says anything
PATIENCE_S = 2.0  # for a command of the board's maker

# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled, of which the bits above are the past
_FIRMWARE = {0: "its power is too low", 1: "its clock is capped", 2: "it is throttled", 3: "it is near its limit"}
_TEGRASTATS = re.compile(r"\w+@(-?\d+(?:\.\d+)?)C")


@dataclass(frozen=True)
class Readings:
    """Of one moment.

    Attributes:
        temperature_c: of the hottest part, °C; None where nothing tells.
        held_back: why the board runs slower than it could, in words; empty where it does not, or nothing tells.
    """

    temperature_c: float | None = None
    held_back: tuple[str, ...] = ()


class Board:
    """Reads them: from the kernel, and from the commands of a Raspberry Pi or a Jetson where it tells nothing."""

    def __init__(self, sys: Path | None = None, tree: Path | None = None) -> None:
        """Nothing is read yet.

        Args:
            sys: where the kernel shows its devices.
            tree: where it shows what the board is.
        """
        self._sys, self._tree = sys or SYS, tree or TREE
        self._over_current: int | None = None  # events so far

    @property
    def model(self) -> str:
        """As its maker calls it, such as Raspberry Pi 5 Model B Rev 1.0; empty where nothing tells, as on a PC."""
        return _text(self._tree / "model").rstrip("\0")

    def read(self) -> Readings:
        """How it is now; takes some milliseconds, or some tenths of a second where a command is asked."""
        temperature = self._zones()
        if temperature is None:
            temperature = _tegrastats()
        return Readings(temperature, (*self._firmware(), *self._over_currents()))

    def _zones(self) -> float | None:
        found = [_number(path) for path in self._sys.glob("class/thermal/thermal_zone*/temp")]
        low, high = PLAUSIBLE_C
        celsius = (milli / 1000.0 for milli in found if milli is not None)
        return max((one for one in celsius if low < one < high), default=None)

    def _firmware(self) -> tuple[str, ...]:
        """Of a Raspberry Pi."""
        path = next(self._sys.glob("devices/platform/soc*/*firmware/get_throttled"), None)
        said = _text(path) if path is not None else _said("vcgencmd", "get_throttled")
        try:
            bits = int(said.rpartition("=")[2], 16)
        except ValueError:  # another board, or a command that may not ask the firmware
            return ()
        return tuple(words for bit, words in _FIRMWARE.items() if bits >> bit & 1)

    def _over_currents(self) -> tuple[str, ...]:
        """Of a Jetson: it holds itself back for a moment at each, and counts them."""
        found = [_number(path) for path in self._sys.glob("class/hwmon/hwmon*/oc*_event_cnt")]
        count = sum(number for number in found if number is not None)
        before, self._over_current = self._over_current, count
        return ("it draws too much current",) if before is not None and count > before else ()


def _tegrastats() -> float | None:
    """The hottest part of a Jetson, in the first line of what its command would go on to say for ever."""
    return max(map(float, _TEGRASTATS.findall(_said("tegrastats", "--interval", "500"))), default=None)


def _said(program: str, *arguments: str) -> str:
    """What a command says within some seconds; nothing where it is not there."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        said = subprocess.run(  # noqa: S603  # a command of the board's
            [path, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=False
        ).stdout
    except subprocess.TimeoutExpired as over:
        said = over.stdout or b""
    except OSError:
        return ""
    return said.decode("utf-8", "replace").strip()


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):  # a sensor that is off
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None
