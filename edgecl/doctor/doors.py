"""The ways in and out: who may come to the page, and whether the broker lets us in."""

from __future__ import annotations

from edgecl.config import MqttSettings, ServerSettings
from edgecl.doctor.finding import Finding
from edgecl.errors import ExtraMissing


def page(settings: ServerSettings) -> Finding:
    """Where a daemon would answer, and whom.

    Raises:
        ConfigRefused: it would answer nobody, and not start.
    """
    from edgecl.web.access import Access

    whom = "whoever has the token" if Access.of(settings).token else "this machine alone"
    return Finding("page", "ok", f"{settings.host}, port {settings.port}, for {whom}")


def broker(settings: MqttSettings) -> Finding:
    """Whether it can be reached, and lets us in.

    Raises:
        ConfigRefused: the password cannot be read, or others can read it.
        ExtraMissing: paho-mqtt is not installed.
    """
    from edgecl.mqtt.account import Account
    from edgecl.mqtt.topics import own_node

    if settings.host is None:
        return Finding("broker", "ok", "none is named in edgecl.toml")
    account = Account.of(settings, f"edgecl-{settings.node or own_node()}")
    try:
        from edgecl.mqtt.connection import refusal
    except ModuleNotFoundError as error:
        raise ExtraMissing("MQTT", "mqtt") from error
    found = refusal(account)
    if found is None:
        return Finding("broker", "ok", f"{account.place} lets us in")
    remedy = "see that the broker runs, and host, port, tls, username and password_file below [mqtt] in edgecl.toml"
    return Finding("broker", "warn", f"{account.place}: {found}", remedy)
