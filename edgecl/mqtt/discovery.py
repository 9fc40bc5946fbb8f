"""What Home Assistant is told of the device, so that it appears there by itself. Pure: values in, a message out.

As https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload has it. No `unique_id` is made of a label:
a class that is renamed stays the same for all that people built on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from edgecl import __version__
from edgecl.mqtt.topics import Topics

UNKNOWN = "unknown"
ONLINE, OFFLINE = "online", "offline"
CAMERA_PARTS = {"class": "sensor", "confidence": "sensor", "image": "image", "connectivity": "binary_sensor"}
CONFIG_BYTES_MAX = 4 * 2**20  # of one that is read back

Record = dict[str, Any]
_CAMERA_PART = re.compile(rf"^(?P<camera>[A-Za-z0-9_-]{{1,80}})_(?:{'|'.join(CAMERA_PARTS)})$")


def options(labels: Iterable[str]) -> list[str]:
    """All that the class of a camera may be, each once."""
    return list(dict.fromkeys([*labels, UNKNOWN]))


def config(
    topics: Topics, cameras: Mapping[str, str], labels: Iterable[str], image: bool, gone: Mapping[str, str]
) -> Record:
    """The whole device.

    Args:
        topics: of it.
        cameras: slug → name.
        labels: that a camera may show.
        image: whether pictures are told.
        gone: components of before that are no more → their platform; naming nothing else of one removes it.
    """
    components: dict[str, Record] = {key: {"p": platform} for key, platform in gone.items()}
    for camera, name in cameras.items():
        parts = _camera(topics, camera, name, options(labels))
        if not image:
            del parts["image"]
        components |= {f"{camera}_{part}": one for part, one in parts.items()}
    components |= _whole(topics)
    for key, one in components.items():
        if key not in gone:
            one["unique_id"] = f"{topics.device}_{key}"
    maker = {"name": "edgecl", "sw": __version__}
    device = {"ids": [topics.device], "name": f"edgecl {topics.node}", "mf": "edgecl", "sw": __version__}
    return {"dev": device, "o": maker, "cmps": components}


def components(cameras: Iterable[str], image: bool) -> dict[str, str]:
    """Component → its platform, of a device with cameras of these slugs."""
    parts = {part: platform for part, platform in CAMERA_PARTS.items() if image or part != "image"}
    found = {f"{camera}_{part}": platform for camera in cameras for part, platform in parts.items()}
    return found | {"undo": "button"} | dict.fromkeys(("classes", "reviews", "newcomers", "release"), "sensor")


def announced(payload: bytes) -> dict[str, str]:
    """Components that an earlier `config` has, with their platform; none where it cannot be read or is not ours."""
    try:
        components = json.loads(payload)["cmps"] if len(payload) <= CONFIG_BYTES_MAX else {}
        found = {key: one["p"] for key, one in components.items() if len(one) > 1}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    platforms = [*CAMERA_PARTS.values(), "button"]
    return {key: platform for key, platform in found.items() if platform in platforms and len(key) <= 100}


def camera_of(key: str) -> str | None:
    """Slug of the camera that a component belongs to; None where it belongs to the device."""
    found = _CAMERA_PART.match(key)
    return found["camera"] if found is not None else None


def _there(*topics: str) -> Record:
    return {"availability": [{"topic": topic} for topic in topics], "availability_mode": "all"}


def _camera(topics: Topics, camera: str, name: str, choices: list[str]) -> dict[str, Record]:
    own = topics.camera(camera, "availability")
    attributes = topics.camera(camera, "attributes")
    there = _there(topics.availability, own)
    parts: dict[str, Record] = {
        "class": {
            "name": name,
            "device_class": "enum",
            "options": choices,
            "state_topic": topics.camera(camera, "state"),
            "json_attributes_topic": attributes,
            **there,
        },
        "confidence": {
            "name": f"{name} confidence",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "state_topic": attributes,
            "value_template": "{{ (value_json.probability * 100) | round(0) }}",
            **there,
        },
        "image": {
            "name": f"{name} picture",
            "image_topic": topics.camera(camera, "image"),
            "content_type": "image/jpeg",
            **there,
        },
        "connectivity": {
            "name": f"{name} connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": own,
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
            **_there(topics.availability),
        },
    }
    return {part: {"p": CAMERA_PARTS[part], **one} for part, one in parts.items()}


def _whole(topics: Topics) -> dict[str, Record]:
    there = _there(topics.availability)

    def sensor(name: str, field: str, **more: Any) -> Record:
        value = f"{{{{ value_json.{field} }}}}"
        return {"p": "sensor", "name": name, "state_topic": topics.state, "value_template": value, **more, **there}

    return {
        "undo": {
            "p": "button",
            "name": "Undo the last lesson",
            "command_topic": topics.of("request/undo"),
            "payload_press": "{}",
            **there,
        },
        "classes": sensor("Classes", "classes", state_class="measurement"),
        "reviews": sensor("Frames to review", "reviews", state_class="measurement"),
        "newcomers": sensor("Newcomers", "newcomers", state_class="measurement"),
        "release": sensor("Release", "release", entity_category="diagnostic", enabled_by_default=False),
    }
