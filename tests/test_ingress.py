"""Who comes through a trusted reverse proxy counts as logged in; nobody becomes trusted by what they write."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Address

import httpx
import pytest
import websockets
from daemons import served, untaught
from ingress import FROM, SESSION, ingress

from edgecl.config import load_settings
from edgecl.errors import ConfigRefused
from edgecl.web.access import Access, Question

TOKEN = "0123456789abcdef0123456789abcdef"
SUPERVISOR = "172.30.32.2"
AS_INGRESS = {"host": "supervisor", "x-forwarded-host": "home.example:8123", "x-ingress-path": "/api/hassio_ingress/x"}


def asked(client=SUPERVISOR, method="GET", path="/api/v1/state", **headers):
    """What the server is asked; names of headers with _ for -."""
    given = AS_INGRESS | {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"type": "websocket"} if method == "WEBSOCKET" else {"type": "http", "method": method}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]
    return Question.of({**kind, "path": path, "headers": raw, "client": (client, 40_000)})


def status(question, trusted=SUPERVISOR, token=TOKEN):
    """0 for who is let through."""
    proxy = IPv4Address(trusted) if trusted else None
    refusal = Access(token, trusted_proxy=proxy).refusal(question)
    return refusal.status if refusal else 0


def test_what_comes_through_the_trusted_proxy_counts_as_logged_in():
    assert status(asked()) == 0


def test_without_a_trusted_proxy_the_same_is_refused():
    assert status(asked(), trusted=None) == 421
    assert status(asked(host="192.168.0.7"), trusted=None) == 401


@pytest.mark.parametrize("client", ["172.30.32.1", "172.30.33.7", "127.0.0.1", "::1", "", "172.30.32.2.example"])
@pytest.mark.parametrize(
    "claim",
    [
        {},
        {"x_forwarded_for": SUPERVISOR},
        {"x_forwarded_host": "localhost"},
        {"forwarded": f"for={SUPERVISOR}"},
        {"x_real_ip": SUPERVISOR},
        {"sec_fetch_site": "same-origin"},
    ],
    ids=str,
)
def test_nobody_else_becomes_trusted_by_what_they_write(client, claim):
    assert status(asked(client, host="192.168.0.7", **claim)) == 401


def test_the_host_that_another_one_says_it_was_asked_for_is_not_believed():
    lie = {"origin": "http://evil.example", "x_forwarded_host": "evil.example", "sec_fetch_site": "same-origin"}
    question = asked("192.168.0.9", "POST", host="192.168.0.7", authorization=f"Bearer {TOKEN}", **lie)
    assert status(question) == 403


def test_a_page_of_nowhere_is_no_page_of_the_proxy():
    """Where the proxy says neither for which host it was asked, nor passes on a Host."""
    assert status(asked(SUPERVISOR, "POST", host="", origin="null")) == 403


def test_the_proxy_is_known_also_where_its_address_comes_through_a_socket_of_ipv6():
    assert status(asked(f"::ffff:{SUPERVISOR}")) == 0
    assert Access(TOKEN, trusted_proxy=IPv6Address(f"::ffff:{SUPERVISOR}")).refusal(asked()) is None


OWN = "http://home.example:8123"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"])
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"origin": OWN}, 0),  # http: browsers do not send Sec-Fetch-Site
        ({"origin": "HTTP://Home.Example:8123"}, 0),
        ({"origin": "https://home.example:8123", "sec_fetch_site": "same-origin"}, 0),
        (
            {"origin": "https://far.example", "sec_fetch_site": "same-origin"},
            0,
        ),  # a proxy before the proxy rewrote its host
        ({"sec_fetch_site": "none"}, 0),
        ({}, 0),  # no browser
        ({"origin": "http://home.example:8124"}, 403),  # the same site, another port
        ({"origin": "http://other.home.example:8123"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://supervisor"}, 403),  # what the proxy calls us is nobody's page
        ({"origin": "null"}, 403),  # a sandboxed frame
        ({"origin": "http://[home"}, 403),
        ({"origin": OWN, "sec_fetch_site": "cross-site"}, 403),
        ({"origin": OWN, "sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "Same-Origin"}, 403),  # as no browser writes it
    ],
    ids=str,
)
def test_through_the_proxy_only_a_page_of_its_own_changes_something_or_listens(method, told, expected):
    assert status(asked(method=method, **told)) == expected


def test_where_the_proxy_leaves_the_host_as_it_was_that_is_what_the_page_came_from():
    question = asked(method="POST", host="cam.example", x_forwarded_host="", origin="https://cam.example")
    assert status(question) == 0
    assert status(asked(method="POST", host="cam.example", x_forwarded_host="", origin="https://evil.example")) == 403


def test_another_sites_page_that_would_write_headers_is_not_told_that_it_may():
    question = asked(method="OPTIONS", origin="http://evil.example", access_control_request_headers="x-forwarded-host")
    assert status(question) == 403


def test_who_comes_through_the_proxy_is_told_the_reasons_for_not_being_ready():
    access = Access(TOKEN, trusted_proxy=IPv4Address(SUPERVISOR))
    assert (access.knows(asked()), access.knows(asked("172.30.33.7"))) == (True, False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"homeassistant.local"', "not a valid ipv4 or ipv6 address"),
        ('"172.30.32.0/23"', "not a valid ipv4 or ipv6 address"),
        ('"127.0.0.1"', "expected that of another machine"),
        ('"::1"', "expected that of another machine"),
        ('"0.0.0.0"', "expected that of another machine"),
        ('"255.255.255.255"', "expected that of another machine"),
        ('"::ffff:127.0.0.1"', "expected that of another machine"),
        ("1", "expected an address, in quotes"),
        ("true", "expected an address, in quotes"),
        ('""', "not a valid ipv4 or ipv6 address"),
    ],
)
def test_what_is_no_address_of_another_machine_is_not_trusted(tmp_path, value, said):
    (tmp_path / "edgecl.toml").write_text(f"[server]\ntrusted_proxy = {value}\n")
    with pytest.raises(ConfigRefused, match=rf"server\.trusted_proxy: found .*{said}"):
        load_settings(tmp_path)


def test_the_settings_name_the_proxy(tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    text = f'[server]\nhost = "0.0.0.0"\ntoken_file = "{tmp_path}/token"\ntrusted_proxy = "{SUPERVISOR}"\n'
    (tmp_path / "edgecl.toml").write_text(text)
    access = Access.of(load_settings(tmp_path).server)
    assert (access.refusal(asked()), access.refusal(asked("172.30.33.7", host="10.0.0.7")).status) == (None, 401)


def test_a_trusted_proxy_is_no_reason_to_be_open_to_others_without_a_token(tmp_path):
    (tmp_path / "edgecl.toml").write_text(f'[server]\nhost = "0.0.0.0"\ntrusted_proxy = "{SUPERVISOR}"\n')
    with pytest.raises(ConfigRefused, match="which others can reach, without a token"):
        Access.of(load_settings(tmp_path).server)


# Through sockets


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """A proxy that is trusted, and the daemon behind it."""
    home = untaught(tmp_path_factory.mktemp("behind"))
    with served(home, token=TOKEN, trusted_proxy=FROM) as there, ingress(there.address) as found:
        yield found, there


def test_only_the_address_of_the_connection_tells_who_is_the_proxy(proxy):
    through, there = proxy
    lie = {"X-Forwarded-For": str(FROM), "X-Ingress-Path": "/api/hassio_ingress/x", "X-Forwarded-Host": "localhost"}
    assert httpx.get(f"{there.address}/api/v1/state", headers=lie).status_code == 401
    assert httpx.get(f"{through.address}api/v1/state", headers={"Cookie": SESSION}).status_code == 200


def test_who_is_not_logged_in_at_the_proxy_does_not_come_through(proxy):
    assert httpx.get(f"{proxy[0].address}api/v1/state").status_code == 401


@pytest.mark.parametrize(("origin", "is_let_in"), [(None, True), ("own", True), ("http://evil.example", False)])
def test_a_socket_through_the_proxy_is_for_its_own_pages(proxy, origin, is_let_in):
    address = proxy[0].address

    async def first():
        own = address.split("/api")[0]
        headers = {"Cookie": SESSION} | ({"Origin": own if origin == "own" else origin} if origin else {})
        async with websockets.connect(f"ws{address[4:]}api/v1/live", additional_headers=headers) as line:
            return await line.recv()

    if is_let_in:
        assert '"state"' in asyncio.run(first())
    else:
        with pytest.raises(websockets.InvalidStatus):
            asyncio.run(first())
