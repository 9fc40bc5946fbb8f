"""Whether a camera would answer: a quick look that opens no stream, so that one that came back is not waited for."""

from __future__ import annotations

import contextlib
import socket
import ssl
from urllib.parse import urlsplit

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_RTSP = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
_HTTP = b"HEAD / HTTP/1.0\r\n\r\n"


def answers(url: str, limit_s: float) -> bool:
    """Whether something at the host and port of `url` speaks its protocol within `limit_s`; any answer counts."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    question, begins = (_RTSP, b"RTSP/") if scheme.startswith("rtsp") else (_HTTP, b"HTTP/")
    with contextlib.suppress(OSError, ValueError):  # no host, a port that is no number, no way there
        address = (parts.hostname or "", parts.port or PORTS[scheme])
        with socket.create_connection(address, timeout=limit_s) as plain:
            plain.settimeout(limit_s)
            with _secured(plain, address[0]) if scheme in ("rtsps", "https") else plain as line:
                line.sendall(question)
                return line.recv(len(begins)) == begins
    return False


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent that is worth anything
    return context.wrap_socket(plain, server_hostname=host)
