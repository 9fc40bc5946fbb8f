"""Who may ask: hosts and origins that are ours, a token for machines, a session for people, and how much at once.

Without a token only this machine can reach us, and then the danger is a page of others in a browser here: it is told by
the Host that it had to use (DNS rebinding) or by its Origin (cross-site requests). There is no CORS.

A reverse proxy that asks people to log in, such as Home Assistant's ingress, may be trusted: what comes from its
address counts as logged in. Only the address of the connection says so. Anybody can write a header: of others
X-Forwarded-Host means nothing, and X-Forwarded-For and X-Ingress-Path mean nothing of anyone.

- Its Host is what the proxy calls us and says nothing of the browser, so it is not looked at. A page that rebinds a
  name to the proxy has no session there: the cookie belongs to the proxy's own name.
- A page of another site may send the browser of someone who is logged in there. SameSite=Strict keeps the cookie from
  it, but not from a page of the same site, as of another port or a sister domain. So what changes something, or
  listens, has to come from a page of the proxy's own origin. Sec-Fetch-Site says so, and no page can write it; browsers
  send it to https alone. Without it, Origin has to name the host that the proxy was asked for: X-Forwarded-Host, or
  Host where the proxy leaves that as it was. A page of others that would write that header has to ask first whether it
  may, by OPTIONS, and is not told so.
- What says neither comes from no browser. It came past the login, too.
- Other pages of the proxy's own origin can do all that ours can. Who lets them in there decides.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from starlette.types import Scope

from edgecl.config import ServerSettings
from edgecl.errors import ConfigRefused

TOKEN_CHARACTERS_MIN = 16
SESSION = "edgecl_session"
SESSION_S = 30 * 86_400
OPEN_PATHS = ("/healthz", "/readyz", "/login", "/static/login.css", "/static/login.js", "/favicon.ico")
CLIENTS_MAX = 1000  # remembered for their rate

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused.

    Attributes:
        status: of HTTP.
        message: in words.
    """

    status: int
    message: str


@dataclass(frozen=True)
class Question:
    """What a request says of itself.

    Attributes:
        method: of HTTP; 'WEBSOCKET' for one.
        path: without the query.
        host: header, empty without one.
        origin: header, None without one.
        authorization: header, empty without one.
        cookie: header, empty without one.
        client: address of whoever asks.
        forwarded_host: for which host a proxy was asked, empty without one; to be believed of a trusted one alone.
        fetch_site: how the page that asks belongs to us, as the browser says; empty where it does not.
    """

    method: str
    path: str
    host: str
    origin: str | None
    authorization: str
    cookie: str
    client: str
    forwarded_host: str
    fetch_site: str

    @classmethod
    def of(cls, scope: Scope) -> Question:
        """What the request of this ASGI scope says."""
        headers: dict[bytes, bytes] = dict(scope["headers"])

        def header(name: bytes) -> str:
            return headers.get(name, b"").decode("latin-1")

        method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
        origin = header(b"origin") if b"origin" in headers else None
        client = scope.get("client") or ("", 0)
        return cls(
            method=method,
            path=scope["path"],
            host=header(b"host"),
            origin=origin,
            authorization=header(b"authorization"),
            cookie=header(b"cookie"),
            client=client[0],
            forwarded_host=header(b"x-forwarded-host"),
            fetch_site=header(b"sec-fetch-site"),
        )

    @property
    def changes(self) -> bool:
        """Whether it may change something, so that other sites' pages must not send it; a socket lets them read."""
        return self.method not in ("GET", "HEAD")


class Access:
    """The rules of one daemon.

    Attributes:
        token: that machines show and people log in with; empty where only this machine reaches us.
    """

    def __init__(self, token: str = "", names: tuple[str, ...] = (), trusted_proxy: Address | None = None) -> None:
        """Ask for `token`, but not who comes through `trusted_proxy`; answer to `names` beside the machine's own."""
        self.token = token
        self._trusted_proxy = trusted_proxy
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", *(name.lower().rstrip(".") for name in names)}
        self._key = hashlib.sha256(b"edgecl session\0" + token.encode("utf-8")).digest()
        self.requests = Rates(per_s=100.0, at_once=500)  # a page shows many small pictures
        self.logins = Rates(per_s=1 / 12, at_once=5)

    @classmethod
    def of(cls, settings: ServerSettings) -> Access:
        """The rules that the settings ask for.

        Raises:
            ConfigRefused: others can reach the address, and no token is set; or the file holds none that is any good.
        """
        if settings.token_file is None and not is_loopback(settings.host):
            raise ConfigRefused(
                f"found the address {settings.host}, which others can reach, without a token, expected "
                "127.0.0.1, or a file with a token: umask 077; openssl rand -hex 32 > FILE; then --token-file FILE"
            )
        token = "" if settings.token_file is None else read_token(settings.token_file)
        return cls(token, settings.names, settings.trusted_proxy)

    def refusal(self, question: Question) -> Refusal | None:
        """Why the request is refused; None where it is not."""
        trusted = self._is_trusted(question)
        if not trusted and not self._is_ours(question.host):
            return Refusal(
                421,
                f"found the host {question.host[:100]!r}, expected one of this machine's names or addresses; add it to "
                "names, below [server] in edgecl.toml",
            )
        if question.changes and not (_is_let_through(question) if trusted else _is_from_us(question, question.host)):
            return Refusal(403, "found a request from a page of another site, expected one from this machine's own")
        rates = self.logins if question.path == "/login" and question.changes else self.requests
        if not rates.take(question.client):
            return Refusal(429, "found too many requests at once, expected fewer; wait a little")
        if question.path not in OPEN_PATHS and not self.knows(question):
            return Refusal(401, "found no valid token, expected it in the header Authorization: Bearer …, or a login")
        return None

    def knows(self, question: Question) -> bool:
        """Whether whoever asks showed the token or logged in, here or at the proxy; all where there is no token."""
        return not self.token or self._is_trusted(question) or self._is_known(question)

    def is_token(self, text: str) -> bool:
        """Whether `text` is the token; takes as long whichever character is wrong."""
        return bool(self.token) and hmac.compare_digest(text.encode("utf-8"), self.token.encode("utf-8"))

    def session(self, now: float) -> str:
        """The value of a cookie by which a browser is known until it is too old."""
        ends = str(int(now + SESSION_S))
        return f"{ends}.{self._sealed(ends)}"

    def _sealed(self, ends: str) -> str:
        return hmac.new(self._key, ends.encode("ascii"), hashlib.sha256).hexdigest()

    def _is_trusted(self, question: Question) -> bool:
        return self._trusted_proxy is not None and _address(question.client) == _address(str(self._trusted_proxy))

    def _is_known(self, question: Question) -> bool:
        kind, _, shown = question.authorization.partition(" ")
        if kind.lower() == "bearer":
            return self.is_token(shown.strip())
        try:
            cookie = SimpleCookie(question.cookie).get(SESSION)
        except CookieError:
            return False
        ends, _, seal = (cookie.value if cookie is not None else "").partition(".")
        fresh = ends.isdecimal() and len(ends) < 13 and int(ends) > time.time()
        return fresh and hmac.compare_digest(seal.encode("utf-8"), self._sealed(ends).encode("utf-8"))

    def _is_ours(self, host: str) -> bool:
        """Whether a browser that asked `host` meant us: a name of ours, or an address, which cannot be rebound."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return bool(self.token) or address.is_loopback


@dataclass
class Rates:
    """A bucket for each client, which fills by so many requests a second up to so many at once."""

    per_s: float
    at_once: int
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, client: str) -> bool:
        """Whether one more is allowed now."""
        now = time.monotonic()
        left, since = self._buckets.pop(client, (float(self.at_once), now))
        left = min(left + (now - since) * self.per_s, float(self.at_once))
        allowed = left >= 1.0
        self._buckets[client] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > CLIENTS_MAX:
            self._buckets.popitem(last=False)
        return allowed


def _address(text: str) -> Address | None:
    """An address; of one machine always the same, also where IPv4 comes through a socket of IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_let_through(question: Question) -> bool:
    """Whether what comes through the trusted proxy was asked by a page of its origin, or by no page."""
    if question.fetch_site:
        return question.fetch_site in ("same-origin", "none")
    return _is_from_us(question, question.forwarded_host or question.host)


def _is_from_us(question: Question, host: str) -> bool:
    """Whether it was asked by a page that was got from `host`, or by no page."""
    if question.origin is None:
        return True
    try:
        return host != "" and urlsplit(question.origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(path: Path) -> str:
    """The token in `path`.

    Raises:
        ConfigRefused: it cannot be read, others may read it, or it is no token.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigRefused(f"could not read a token from {path}, expected a file with one line of ASCII") from error
    if mode & 0o077:
        raise ConfigRefused(f"found {path} open to others (mode {mode & 0o777:o}), expected 600; chmod 600 {path}")
    if len(text) < TOKEN_CHARACTERS_MIN or not text.isprintable() or " " in text:
        raise ConfigRefused(
            f"found a token of {len(text)} characters in {path}, expected at least {TOKEN_CHARACTERS_MIN} without "
            "spaces: openssl rand -hex 32"
        )
    return text


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_hex(32)
