"""Names of topics. What people chose freely never forms a level, a wildcard or another topic."""

from __future__ import annotations

import hashlib
import re
import socket
from dataclasses import dataclass

_STRANGE = re.compile(r"[^A-Za-z0-9_-]")
_TAKEN = frozenset({"request", "response"})  # below a node these levels are ours
_LONGEST = 64


def slug(name: str) -> str:
    """`name` as one level of a topic: itself where it is one, else never the same for two names that are told apart."""
    safe = _STRANGE.sub("_", name)[:_LONGEST]
    if safe != name or not safe:
        return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return f"{safe}_" if safe.rstrip("_") in _TAKEN else safe


def own_node() -> str:
    """The name of this machine as one level of a topic."""
    return _STRANGE.sub("_", socket.gethostname().lower())[:_LONGEST] or "edgecl"


@dataclass(frozen=True)
class Topics:
    """All topics of one device.

    Attributes:
        base: level or levels above all devices.
        node: level of this one.
        prefix: level or levels that Home Assistant reads.
    """

    base: str
    node: str
    prefix: str

    @property
    def device(self) -> str:
        """By which Home Assistant knows this device; every `unique_id` begins with it."""
        return f"edgecl_{self.node}"

    @property
    def availability(self) -> str:
        """Whether this device is there."""
        return self.of("availability")

    @property
    def state(self) -> str:
        """What is known."""
        return self.of("state")

    @property
    def event(self) -> str:
        """What happened."""
        return self.of("event")

    @property
    def requests(self) -> str:
        """Filter of all requests."""
        return self.of("request/#")

    @property
    def config(self) -> str:
        """What Home Assistant is told of this device."""
        return f"{self.prefix}/device/{self.device}/config"

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.prefix}/status"

    def of(self, name: str) -> str:
        """A topic of the device."""
        return f"{self.base}/{self.node}/{name}"

    def camera(self, camera: str, name: str) -> str:
        """A topic of one of its cameras, whose name is a slug already."""
        return self.of(f"{camera}/{name}")

    def request(self, topic: str) -> str:
        """What a message at `topic` asks for; it may be anything."""
        return topic.removeprefix(self.of("request/"))

    def response(self, request: str) -> str:
        """Where a request is answered."""
        return self.of(f"response/{slug(request)}")
