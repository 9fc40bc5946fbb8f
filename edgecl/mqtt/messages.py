"""All that a broker keeps of one device, by topic, in the order in which it has to be told. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgecl import __version__
from edgecl.daemon.snapshots import State
from edgecl.mqtt import discovery
from edgecl.mqtt.discovery import OFFLINE, ONLINE, UNKNOWN
from edgecl.mqtt.sighting import Sighting
from edgecl.mqtt.topics import Topics, slug

NOTHING = b""  # takes back what a broker keeps
CAMERA_TOPICS = ("availability", "state", "attributes", "image")


@dataclass(frozen=True)
class Wanted:
    """What decides about messages, beside what is seen.

    Attributes:
        topics: of the device.
        discovery: whether Home Assistant is told.
        image: whether pictures are.
        shown: labels that a broker still keeps as some camera's, though they may be no class's name any more.
        gone: components that were told once and are no more → their platform.
        left: slugs of cameras that were told once and are no more.
    """

    topics: Topics
    discovery: bool
    image: bool
    shown: frozenset[str] = frozenset()
    gone: Mapping[str, str] = field(default_factory=dict)
    left: frozenset[str] = frozenset()


def messages(wanted: Wanted, state: State, sightings: Mapping[str, Sighting]) -> dict[str, bytes]:
    """Topic → what is to be kept there.

    Home Assistant refuses a state that is not among the options, so these come first, and hold what is on its way out.

    Args:
        wanted: of which kind.
        state: of the daemon.
        sightings: by name of the camera.
    """
    topics, told = wanted.topics, {slug(name): one for name, one in sightings.items()}
    found = {topics.config: NOTHING}
    if wanted.discovery:
        labels = options_for(state, {*wanted.shown, *(one.label for one in told.values() if one.label is not None)})
        names = {slug(name): name for name in sightings}
        found[topics.config] = said(discovery.config(topics, names, labels, wanted.image, wanted.gone))
    found[topics.state] = said(_known(state))
    for camera, one in told.items():
        if one.told:
            found[topics.camera(camera, "attributes")] = said(one.attributes)
            found[topics.camera(camera, "state")] = (UNKNOWN if one.label is None else one.label).encode("utf-8")
        if not wanted.image:
            found[topics.camera(camera, "image")] = NOTHING  # one of before, when pictures were asked for
        elif one.image is not None:
            found[topics.camera(camera, "image")] = one.image
        found[topics.camera(camera, "availability")] = (ONLINE if one.available else OFFLINE).encode("ascii")
    for camera in wanted.left - told.keys():
        found |= {topics.camera(camera, name): NOTHING for name in CAMERA_TOPICS}
    return found | {topics.availability: ONLINE.encode("ascii")}


def options_for(state: State, shown: Iterable[str]) -> list[str]:
    """Names of all classes, and behind them labels that are shown though no class has that name any more."""
    names = [one.name for one in state.classes]
    return [*names, *sorted(set(shown) - set(names))]


def said(record: object) -> bytes:
    """As JSON."""
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode("ascii")


def _known(state: State) -> dict[str, object]:
    return {
        "classes": len(state.classes),
        "labels": [one.name for one in state.classes],
        "reviews": state.reviews,
        "newcomers": state.newcomers,
        "release": state.release,
        "revision": state.revision,
        "version": __version__,
    }
