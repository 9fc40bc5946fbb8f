"""The daemon."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecl.cli.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgecl.config import CameraEntry, ServerSettings
    from edgecl.daemon.daemon import Daemon
    from edgecl.daemon.service import Door
    from edgecl.home import Home
    from edgecl.web.access import Access

WEB_S = 10.0  # the web server does something in between at least so often, unless it hangs
MQTT_S = 120.0  # a name that cannot be resolved, or a broker that does not greet, is waited for

commands = typer.Typer()


@commands.command()
def run(
    camera: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Camera to look through; may be repeated. Else those of edgecl.toml."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to answer at.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to answer at; 0 for a free one.", show_default="8420")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="F", help="File with the token that others have to show.", show_default=False)
    ] = None,
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
    from edgecl.config import CameraEntry, ServerSettings
    from edgecl.home import Home

    place = Home.at(home)
    given = {"host": host, "port": port, "token_file": token_file, "log_format": log_format}
    server = _settings(
        ServerSettings, place.settings.server.model_dump() | {k: v for k, v in given.items() if v is not None}
    )
    cameras = [_settings(CameraEntry, {"url": url}) for url in camera or ()]
    terminal = Terminal(as_json)
    ensure_backbone(place, terminal)

    def ready(address: str) -> None:
        terminal.answer({"address": address, "pid": os.getpid()}, f"answers at {address}")

    serve(place, cameras, server, ready)


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
            heartbeats.append(Heartbeat("the line to the MQTT broker", lambda: mqtt.heartbeat, MQTT_S))
        close = opened.pop_all().close
    return Door(answering.address, heartbeats, close)


def _settings(kind: Any, values: dict[str, Any]) -> Any:
    """A section of the settings from the command line.

    Raises:
        ConfigRefused: a value cannot be used.
    """
    from pydantic import ValidationError

    from edgecl.errors import ConfigRefused

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"]).replace("_", "-")
        raise ConfigRefused(f"--{name}: found {fault['input']!r}, {fault['msg'].lower()}") from error
