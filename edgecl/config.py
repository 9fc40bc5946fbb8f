"""`edgecl.toml` → validated settings. Units are in the names; every setting has a default that works."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    ValidationError,
    field_validator,
    model_validator,
)

from edgecl.errors import ConfigRefused

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SERVICE_HOME = Path("/var/lib/edgecl")

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.01, le=86_400.0)]
Positive = Annotated[float, Field(gt=0.0, le=1e9)]
Pixels = Annotated[int, Field(ge=1, le=16_384)]
Count = Annotated[int, Field(ge=1, le=10**9)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BackboneSettings(_Section):
    """How the two graphs run; what is left open is decided by measurement, see edgecl.accelerator."""

    precision: Literal["int8", "fp32", "auto"] = "int8"  # auto: the faster one, until something is taught in it
    provider: Literal["auto", "cpu", "xnnpack", "cuda", "tensorrt"] = "auto"
    threads: Annotated[int, Field(ge=0, le=1024)] = 0  # 0: measured; until then as many as the machine has cores

    @property
    def settled_precision(self) -> Literal["int8", "fp32"]:
        """In which the graphs run: int8 for as long as that is left open."""
        return "int8" if self.precision == "auto" else self.precision


class CameraSettings(_Section):
    """How frames are read."""

    open_timeout_s: Seconds = 5.0
    read_timeout_s: Seconds = 4.0  # a camera that is silent for so long is lost
    retry_first_s: Seconds = 1.0
    retry_longest_s: Seconds = 30.0
    width_px: Pixels = 640
    height_px: Pixels = 480


_Rectangle = tuple[Fraction, Fraction, Fraction, Fraction]  # left, top, right, bottom
_Polygon = tuple[tuple[Fraction, Fraction], ...]  # corners


def _with_an_area(roi: _Rectangle | _Polygon | None) -> _Rectangle | _Polygon | None:
    if roi is None:
        return None
    if not roi or isinstance(roi[0], tuple):
        if not 3 <= len(roi) <= 64:
            raise ValueError("expected [left, top, right, bottom], or 3 to 64 corners [x, y]")
    elif not (roi[0] < roi[2] and roi[1] < roi[3]):
        raise ValueError("expected left < right and top < bottom")
    return roi


Roi = Annotated[_Rectangle | _Polygon | None, AfterValidator(_with_an_area)]  # as shares of the picture


class CameraEntry(_Section):
    """One camera of the daemon."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")] | None = None  # camera1, camera2 … without
    roi: Roi = None
    rate_max_hz: Positive = 30.0  # frames looked at

    @field_validator("url")
    @classmethod
    def _can_be_opened_anew(cls, url: str) -> str:
        if url == "-":
            raise ValueError("standard input is for edgecl teach and predict; name a camera that can be opened anew")
        return url


def _written_as_one(value: object) -> object:
    if not isinstance(value, str | IPv4Address | IPv6Address):
        raise ValueError("expected an address, in quotes")
    return value


def _of_another_machine(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    meant = getattr(address, "ipv4_mapped", None) or address
    if meant.is_loopback or meant.is_unspecified or meant.is_multicast or str(meant) == "255.255.255.255":
        raise ValueError("expected that of another machine or container; programs on this one are not told apart")
    return address


class ServerSettings(_Section):
    """Who may talk to the daemon."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8420  # 0: any that is free
    token_file: Path | None = None  # asked for by any address that others can reach
    names: tuple[str, ...] = ()  # by which browsers may call this machine, beside its address and localhost
    # Whoever it lets through counts as logged in here.
    trusted_proxy: (
        Annotated[IPvAnyAddress, BeforeValidator(_written_as_one), AfterValidator(_of_another_machine)] | None
    ) = None
    log_format: Literal["text", "json"] = "text"


class GateSettings(_Section):
    """Which frames are worth an embedding while teaching."""

    blur_min: Annotated[float, Field(ge=0.0, le=1e9)] = 12.0  # variance of the Laplacian at 160 px, grey levels²
    blur_drop: Fraction = 0.25  # a frame less sharp than this share of the sharpest one in the last moments is blurred
    dark_max: Fraction = 0.97  # share of pixels that are nearly black
    bright_max: Fraction = 0.97  # share of pixels that are nearly white; a thing on a white ground fills the rest
    motion_max: Positive = 50.0  # mean change since the last frame, grey levels
    rate_max_hz: Positive = 10.0


class MemorySettings(_Section):
    """How much is remembered."""

    per_class: Count = 40  # examples
    total: Count = 3000  # examples; 28 MB of latents
    thumbnails: bool = True
    thumbnail_px: Pixels = 160
    redundant_cosine: Fraction = 0.97  # so alike, a frame shows nothing new; chosen by benchmarks/constants.py
    undoable_lessons: Annotated[int, Field(ge=0, le=10**9)] = 20  # so long displaced examples are kept for undo
    review: Annotated[int, Field(ge=0, le=10**9)] = 200  # uncertain frames kept for review


class HeadSettings(_Section):
    """Which head learns."""

    name: str = "softmax"


class StreamSettings(_Section):
    """How a stream of predictions is smoothed."""

    smoothing_s: Annotated[float, Field(ge=0.0, le=3600.0)] = 0.6


class ReleaseSettings(_Section):
    """When a new release may stay."""

    trial_minutes: Annotated[float, Field(ge=0.0, le=100_000.0)] = 10.0  # in which frames were answered
    trial_frames: Annotated[int, Field(ge=0, le=10**9)] = 300
    accuracy_drop_max: Fraction = 0.05  # on the device's own held-out examples, mean over classes
    latency_ratio_max: Annotated[float, Field(ge=1.0, le=1000.0)] = 1.5  # to be switched to, against what runs
    slow_ratio_max: Annotated[float, Field(ge=1.0, le=1000.0)] = 2.0  # in trial, against what ran
    starts_max: Annotated[int, Field(ge=1, le=1000)] = 3  # of a process that never became healthy
    keep: Annotated[int, Field(ge=0, le=1000)] = 3  # older releases beside the active one and the one before it


class ConsolidationSettings(_Section):
    """When the tail is trained further, and when the result becomes a release."""

    gain_min: Fraction = 0.005  # rise of the mean accuracy on held-out views
    class_fall_max: Fraction = 0.03  # that any class is believed to have fallen
    unchanged_views: Annotated[int, Field(ge=0, le=1_000_000)] = 80  # that a class's not having changed counts like
    latency_ratio_max: Annotated[float, Field(ge=1.0, le=1000.0)] = 1.25  # of the tail, against the current one
    due_lessons: Count = 10  # new ones that make it time, with --if-due


Celsius = Annotated[float, Field(ge=0.0, le=150.0)]


class HeatSettings(_Section):
    """When less is done, because the board is hot."""

    slow_at_c: Celsius | None = None  # every second frame is looked at; none: as suits the machine, see edgecl.effort
    rest_at_c: Celsius | None = None  # nothing is learned; likewise
    hysteresis_c: Celsius = 5.0  # so far below it ends
    look_every_s: Seconds = 5.0


_TOPIC = r"^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}$"


class MqttSettings(_Section):
    """Which broker is told what the cameras see."""

    host: Annotated[str, Field(min_length=1, max_length=253)] | None = None  # none: no broker
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    tls: bool = False
    username: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    password_file: Path | None = None
    client_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None  # edgecl-NODE without
    base_topic: Annotated[str, Field(pattern=_TOPIC)] = "edgecl"
    node: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None  # the host's name without
    discovery: bool = True
    discovery_prefix: Annotated[str, Field(pattern=_TOPIC)] = "homeassistant"
    image: bool = False  # pictures leave the device only if asked
    image_every_s: Seconds = 10.0

    @model_validator(mode="after")
    def _password_of_someone(self) -> MqttSettings:
        if self.password_file is not None and self.username is None:
            raise ValueError("expected a username where there is a password_file")
        return self


class Settings(_Section):
    """Everything that `edgecl.toml` may set."""

    backbone: BackboneSettings = BackboneSettings()
    camera: CameraSettings = CameraSettings()
    cameras: Annotated[tuple[CameraEntry, ...], Field(max_length=16)] = ()
    server: ServerSettings = ServerSettings()
    gate: GateSettings = GateSettings()
    memory: MemorySettings = MemorySettings()
    head: HeadSettings = HeadSettings()
    stream: StreamSettings = StreamSettings()
    release: ReleaseSettings = ReleaseSettings()
    consolidation: ConsolidationSettings = ConsolidationSettings()
    heat: HeatSettings = HeatSettings()
    mqtt: MqttSettings = MqttSettings()


def default_home() -> Path:
    """`$EDGECL_HOME`; else the service's, for those whom it lets in; else the user's data folder."""
    if named := os.environ.get("EDGECL_HOME"):
        return Path(named)
    return SERVICE_HOME if os.access(SERVICE_HOME, os.R_OK | os.X_OK) else platformdirs.user_data_path("edgecl")


def load_settings(home: Path) -> Settings:
    """Read `home`/edgecl.toml; a missing file gives the defaults.

    Raises:
        ConfigRefused: not TOML, an unknown name, or a value out of range.
    """
    path = home / "edgecl.toml"
    try:
        return parse_settings(path.read_text("utf-8"), path)
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (UnicodeDecodeError, OSError) as error:
        raise _unreadable(path, error) from error


def parse_settings(text: str, path: Path) -> Settings:
    """What is, or is to be, written in `path`.

    Raises:
        ConfigRefused: see `load_settings`.
    """
    try:
        return Settings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, error) from error
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors()]
        raise ConfigRefused(
            f"{path} cannot be used: {'; '.join(faults)}; mend these lines or remove the file"
        ) from error


def _unreadable(path: Path, error: Exception) -> ConfigRefused:
    return ConfigRefused(f"could not read {path}: {error}; expected TOML; mend or remove the file")


def _fault(fault: Mapping[str, Any]) -> str:
    *within, name = map(str, fault["loc"])
    if within and fault["type"] == "extra_forbidden" and name in Settings.model_fields:
        header = "[[cameras]]" if name == "cameras" else f"[{name}]"
        return f"found {name} as a part of {'.'.join(within)}, expected it below a header of its own: {header}"
    return f"{'.'.join((*within, name))}: {complaint(fault)}"


def complaint(fault: Mapping[str, Any]) -> str:
    """What was found in the place of a value, and why that cannot be used; of a fault as pydantic tells it."""
    return f"found {fault['input']!r}, {fault['msg'].removeprefix('Value error, ').lower()}"
