"""Connections before they are requests: how many there may be, and for how long one may ask for nothing.

Left alone, uvicorn waits for a request for as long as the connection lasts, and refuses everybody while too many wait.
"""

from __future__ import annotations

import asyncio
import ipaddress

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX = 200
CLIENT_MAX = 64  # of them from one address; a browser has about ten
LAST_S = 2.0  # for an answer that is being sent when the server ends
WAIT_S = 30  # until a request has come, but for its body; also after an answer


class Connection(H11Protocol):
    """A connection that is closed at once where there are too many, and after a while where no request comes."""

    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, or not."""
        super().connection_made(transport)
        if self._is_one_too_many():
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Take in what comes; part of a request is none, however many parts come."""
        super().data_received(data)
        if self._is_asked():
            self._wait_no_more()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._wait_no_more()
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends: what is being sent may come to its end, unless it has none."""
        super().shutdown()
        self.loop.call_later(LAST_S, self._end)

    def _end(self) -> None:
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()

    def pause_writing(self) -> None:
        """They read more slowly than we write; who does not read at all is let go of."""
        super().pause_writing()
        self._unread = self.loop.call_later(WAIT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """They have read."""
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def _is_one_too_many(self) -> bool:
        hosts = [_host(other.transport) for other in self.connections]
        return len(hosts) > CONNECTIONS_MAX or hosts.count(_host(self.transport)) > CLIENT_MAX

    def _is_asked(self) -> bool:
        """Whether a request is being answered, or became a WebSocket, which is counted in its place."""
        return self not in self.connections or (self.cycle is not None and not self.cycle.response_complete)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(WAIT_S, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _host(transport: asyncio.BaseTransport) -> str:
    """Who is at the other end; empty where they have gone already. Of IPv6, one machine has a whole /64."""
    peer = transport.get_extra_info("peername")
    host = str(peer[0]) if peer else ""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host)
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))
