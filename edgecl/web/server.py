"""The web server, on a thread of its own, so that the process's first thread hears signals and watches the others."""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn
from fastapi import FastAPI

from edgecl.errors import ConfigRefused
from edgecl.web.connections import WAIT_S, Connection

log = logging.getLogger(__name__)

END_S = 5.0


class Server:
    """One server.

    Attributes:
        address: `http://HOST:PORT` as someone on this machine reaches it.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        """Begin to answer.

        Raises:
            ConfigRefused: the address cannot be had.
        """
        self._socket = _listen(host, port)
        found = self._socket.getsockname()
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(found[0], f"[{found[0]}]" if ":" in found[0] else found[0])  # noqa: S104
        self.address = f"http://{shown}:{found[1]}"
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http=Connection,
            timeout_keep_alive=WAIT_S,
            timeout_graceful_shutdown=3,
            ws_max_size=65_536,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="edgecl-web", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Answer no more; what is being answered is finished, but not for ever."""
        self._server.should_exit = True
        self._thread.join(END_S)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, OverflowError) as error:
        raise ConfigRefused(
            f"could not listen at {host}:{port} ({error}), expected an address that is free; end what uses it, or name "
            "another with --host and --port"
        ) from error
    listening.listen(128)
    return listening
