"""The daemon."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecl.cli.options import HomeOption, HostOption, JsonOption, PortOption, TokenFileOption

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgecl.config import CameraEntry, ServerSettings
    from edgecl.daemon.daemon import Daemon
    from edgecl.daemon.service import Door
    from edgecl.home import Home
    from edgecl.web.access import Access

WEB_S = 10.0  # the web server does something in between at least so often, unless it hangs
MQTT_S = 120.0  # a name that cannot be resolved, or a broker that does not greet, is waited for

_NAMED = re.compile(r"([^:/=]+)=(.+)", re.DOTALL)  # before the first = of a URL is a colon or a slash
_OPTIONS = {"url": "--camera", "name": "--camera"}  # that are not called as the setting is

commands = typer.Typer()


@commands.command()
def run(
    camera: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]URL", help="Camera to look through; may be repeated. Else those of edgecl.toml."),
    ] = None,
    host: HostOption = None,
    port: PortOption = None,
    token_file: TokenFileOption = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="text|json", help="How events are written.", show_default="text")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run as a daemon, with a page for browsers and an API.

    It looks through cameras, answers, and learns, until it gets SIGTERM or Ctrl-C. SIGHUP reads edgecl.toml anew.
    """
    from edgecl.cli.exporting import ensure_backbone
    from edgecl.cli.terminal import Terminal
    from edgecl.home import Home

    place = Home.at(home)
    server = server_settings(place, host=host, port=port, token_file=token_file, log_format=log_format)
    cameras = cameras_given(camera or ())
    terminal = Terminal(as_json)
    ensure_backbone(place, terminal)

    def ready(address: str) -> None:
        terminal.answer({"address": address, "pid": os.getpid()}, f"answers at {address}")
        if not (cameras or place.settings.cameras):
            terminal.note("it looks through no camera: name one with --camera URL, or under [[cameras]] in edgecl.toml")

    serve(place, cameras, server, ready)


def server_settings(place: Home, **given: str | int | Path | None) -> ServerSettings:
    """The home's [server] with what was given on the command line in its place.

    Raises:
        ConfigRefused: a value cannot be used.
    """
    from edgecl.config import ServerSettings

    values = {name: value for name, value in given.items() if value is not None}
    found: ServerSettings = settings_given(ServerSettings, place.settings.server.model_dump() | values)
    return found


def serve(place: Home, cameras: Sequence[CameraEntry], server: ServerSettings, ready: Callable[[str], None]) -> None:
    """Run the daemon, its page and its API until it is asked to end.

    Args:
        place: the home.
        cameras: to look through; those of its settings where there are none.
        server: where to answer, and who may ask.
        ready: told the address, once it answers.

    Raises:
        EdgeclError: it could not start, or a part of it has failed.
    """
    from edgecl.daemon.allocation import give_back
    from edgecl.daemon.service import Service
    from edgecl.logs import set_up
    from edgecl.web.access import Access

    place = replace(place, settings=place.settings.model_copy(update={"server": server}))
    give_back()
    access = Access.of(server)
    set_up(server.log_format)
    Service(place, cameras, access.token, lambda daemon: _doors(daemon, access, server, place), ready).run()


def _doors(daemon: Daemon, access: Access, server: ServerSettings, place: Home) -> Door:
    """All by which others see the daemon."""
    from edgecl.daemon.heartbeat import Heartbeat
    from edgecl.daemon.service import Door
    from edgecl.web.app import application
    from edgecl.web.server import Server

    app = application(daemon, access)
    heartbeats = [Heartbeat("the web server", lambda: float(app.state.spread.heartbeat), WEB_S)]
    with contextlib.ExitStack() as opened:
        answering = Server(app, server.host, server.port)
        opened.callback(answering.close)
        if place.settings.mqtt.host is not None:
            from edgecl.mqtt.client import Mqtt

            mqtt = Mqtt(daemon, place.settings.mqtt)
            opened.callback(mqtt.close)
            app.state.measures.broker = lambda: mqtt.up
            heartbeats.append(Heartbeat("the line to the MQTT broker", lambda: mqtt.heartbeat, MQTT_S))
        close = opened.pop_all().close
    return Door(answering.address, heartbeats, close)


def cameras_given(texts: Sequence[str]) -> list[CameraEntry]:
    """Cameras from the command line: a URL each, behind a name and = where it has one.

    Raises:
        ConfigRefused: one cannot be used.
    """
    from edgecl.config import CameraEntry

    cameras = []
    for text in texts:
        found = None if Path(text).exists() else _NAMED.fullmatch(text)
        name, url = (None, text) if found is None else found.groups()
        cameras.append(settings_given(CameraEntry, {"url": url, "name": name}))
    return cameras


def settings_given(kind: Any, values: dict[str, Any]) -> Any:
    """A section of the settings from the command line.

    Raises:
        ConfigRefused: a value cannot be used.
    """
    from pydantic import ValidationError

    from edgecl.config import complaint
    from edgecl.errors import ConfigRefused

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        raise ConfigRefused(f"{_OPTIONS.get(name) or '--' + name.replace('_', '-')}: {complaint(fault)}") from error
