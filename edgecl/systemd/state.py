"""How the service is doing: what systemd says of it, and what it says itself."""

from __future__ import annotations

import http.client
import re
import urllib.request
from dataclasses import dataclass

from edgecl.errors import ServiceRefused
from edgecl.systemd import host as hosts
from edgecl.systemd.host import Host
from edgecl.systemd.units import CONSOLIDATION, SERVICE, TIMER

HEALTH_S = 5.0
PROPERTIES = "ActiveState,SubState,Result,MainPID,NRestarts,MemoryCurrent,StatusText,UnitFileState,ActiveEnterTimestamp"
_ADDRESS = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class ServiceState:
    """The service at this moment.

    Attributes:
        state: as systemd calls it, such as active (running), failed (exit-code) or inactive (dead).
        enabled: whether it starts with the machine.
        since: when it was last ready, in systemd's words; empty where it is not.
        pid: of the daemon, None where none runs.
        restarts: by systemd, since it was last started by hand.
        ram_bytes: of all its processes, None where it is not counted.
        address: where it answers, None where it does not.
        healthy: whether it says so itself.
        consolidates: the state of the nightly consolidation's timer, None where it is not installed.
    """

    state: str
    enabled: bool
    since: str
    pid: int | None
    restarts: int
    ram_bytes: int | None
    address: str | None
    healthy: bool
    consolidates: str | None


def is_on_this_machine() -> bool:
    """Whether systemd runs it here, or would."""
    return hosts.IN_CHARGE.is_dir() and is_installed(Host.this())


def is_installed(host: Host) -> bool:
    """Whether there is a service."""
    return (host.units() / SERVICE).is_file()


def expect_installed(host: Host) -> None:
    """See that there is one.

    Raises:
        ServiceRefused: there is none.
    """
    if not is_installed(host):
        raise ServiceRefused(
            f"found no {SERVICE} in {host.units()}, expected an installed service; "
            "install it with: sudo edgecl service install"
        )


def look(host: Host) -> ServiceState:
    """Ask systemd, and the daemon.

    Raises:
        ServiceRefused: no service is installed, or systemd does not answer.
    """
    expect_installed(host)
    said = _properties(host, SERVICE)
    address = _ADDRESS.search(said["StatusText"]) if said["ActiveState"] in ("active", "reloading") else None
    running, ended = said["ActiveState"], said["SubState"]
    timer = (host.units() / TIMER).is_file()
    return ServiceState(
        state=f"{running} ({said['Result'] if running == 'failed' else ended})",
        enabled=said["UnitFileState"] == "enabled",
        since=said["ActiveEnterTimestamp"],
        pid=int(said["MainPID"]) or None,
        restarts=int(said["NRestarts"]),
        ram_bytes=int(said["MemoryCurrent"]) if said["MemoryCurrent"].isdigit() else None,
        address=address[0] if address else None,
        healthy=address is not None and _is_healthy(address[0]),
        consolidates=_timer(host) if timer else None,
    )


def _properties(host: Host, unit: str) -> dict[str, str]:
    lines = host.systemctl("show", f"--property={PROPERTIES}", unit).splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    return dict.fromkeys(PROPERTIES.split(","), "") | {"MainPID": "0", "NRestarts": "0"} | found


def _timer(host: Host) -> str:
    consolidation = _properties(host, CONSOLIDATION)
    waits = _properties(host, TIMER)["ActiveState"]
    if consolidation["ActiveState"] in ("active", "activating"):
        return "runs"
    return "failed last time" if consolidation["ActiveState"] == "failed" else f"nightly, timer {waits}"


def _is_healthy(address: str) -> bool:
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(f"{address}/healthz", timeout=HEALTH_S):
            return True
    except (OSError, http.client.HTTPException):  # of which an answer other than 2xx is one
        return False
