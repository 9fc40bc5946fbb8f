"""Home Assistant's app: its description is as documented there, and its options become settings that can be used."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
import yaml
from dockerfile_parse import DockerfileParser

import edgecl
from edgecl.config import load_settings
from edgecl.web.access import Access, read_token

ADDON = Path(__file__).parents[1] / "deploy/homeassistant/edgecl"
CONFIG = yaml.safe_load((ADDON / "config.yaml").read_text("utf-8"))
OPTIONS = CONFIG["options"]

# As documented, https://developers.home-assistant.io/docs/add-ons/configuration: those keys that we use.
KEYS = {
    "name": str,
    "version": str,
    "slug": re.compile(r"[-_.A-Za-z0-9]+"),
    "description": str,
    "arch": [re.compile("aarch64|amd64")],
    "stage": re.compile("stable|experimental|deprecated"),
    "startup": re.compile("initialize|system|services|application|once"),
    "ingress": bool,
    "ingress_port": int,
    "ingress_stream": bool,
    "panel_icon": re.compile("mdi:[a-z-]+"),
    "panel_title": str,
    "ports": {re.compile(r"\d+/(tcp|udp)"): (int, type(None))},
    "watchdog": re.compile(r"(https?|tcp)://\[HOST\]:\[PORT:\d+\].*"),
    "video": bool,
    "tmpfs": bool,
    "services": [re.compile("(mqtt|mysql):(provide|want|need)")],
    "backup": re.compile("hot|cold"),
    "timeout": int,
    "options": dict,
    "schema": dict,
}
ELEMENT = re.compile(
    r"(str|bool|int|float|email|url|password|port|match\(.+\)|list\(.+\)|device(\(subsystem=[a-z]+\))?)\??"
)
POWERFUL = {"privileged", "full_access", "host_network", "host_pid", "host_ipc", "host_uts", "docker_api", "hassio_api"}


def fits(value, expected):
    """Whether a value is of the kind that the documentation names."""
    if isinstance(expected, re.Pattern):
        return isinstance(value, str) and expected.fullmatch(value) is not None
    if isinstance(expected, list):
        return isinstance(value, list) and all(fits(one, expected[0]) for one in value)
    if isinstance(expected, dict):
        (key, kind), *_ = expected.items()
        return isinstance(value, dict) and all(fits(a, key) and fits(b, kind) for a, b in value.items())
    return isinstance(value, expected)


def leaves(schema):
    """The types of a schema of options, which has lists and maps."""
    if isinstance(schema, str):
        return [schema]
    inner = schema.values() if isinstance(schema, dict) else schema
    return [leaf for one in inner for leaf in leaves(one)]


@pytest.fixture(scope="module")
def begin():
    spec = importlib.util.spec_from_file_location("begin", ADDON / "begin.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def supervisor(status, answer):
    """One that answers what is asked of it, and remembers that."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()


BROKER = {
    "host": "core-mosquitto",
    "port": 1883,
    "ssl": False,
    "username": "addons",
    "password": 'a "b" \\ c',
    "protocol": "5",
}


# Its description


@pytest.mark.parametrize("key", CONFIG)
def test_every_key_is_documented_and_of_its_kind(key):
    assert key in KEYS
    assert fits(CONFIG[key], KEYS[key])


def test_the_keys_that_are_required_are_there():
    assert {"name", "version", "slug", "description", "arch"} <= set(CONFIG)
    assert CONFIG["slug"] == ADDON.name


def test_the_version_is_that_of_the_package():
    assert CONFIG["version"] == edgecl.__version__
    assert f"## {edgecl.__version__}\n" in (ADDON / "CHANGELOG.md").read_text("utf-8")


def test_it_asks_for_no_power_over_the_machine():
    assert not POWERFUL & set(CONFIG)
    assert CONFIG.get("apparmor", True)


def test_its_port_is_closed_and_its_page_comes_by_ingress(begin):
    assert CONFIG["ports"] == {f"{begin.PORT}/tcp": None}
    assert CONFIG["ingress"] is True
    assert CONFIG["ingress_port"] == begin.PORT
    assert f"[PORT:{begin.PORT}]/healthz" in CONFIG["watchdog"]


def test_its_options_are_of_types_that_there_are():
    assert [leaf for leaf in leaves(CONFIG["schema"]) if not ELEMENT.fullmatch(leaf)] == []
    optional = {name for name, kind in CONFIG["schema"].items() if isinstance(kind, str) and kind.endswith("?")}
    assert set(OPTIONS) == set(CONFIG["schema"]) - optional


def test_every_option_and_port_is_explained():
    words = yaml.safe_load((ADDON / "translations/en.yaml").read_text("utf-8"))
    assert set(words["configuration"]) == set(CONFIG["schema"])
    assert all({"name", "description"} == set(one) for one in words["configuration"].values())
    assert set(words["network"]) == set(CONFIG["ports"])
    text = (ADDON / "DOCS.md").read_text("utf-8")
    assert [name for name in CONFIG["schema"] if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_its_pictures_are_of_the_size_that_is_asked_for(name, size):
    data = (ADDON / name).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == size


def test_the_names_of_cameras_that_it_takes_are_those_that_edgecl_takes():
    from edgecl.config import CameraEntry

    pattern = CameraEntry.model_json_schema()["properties"]["name"]["anyOf"][0]["pattern"]
    assert CONFIG["schema"]["cameras"][0]["name"] == f"match({pattern})?"


# Its archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive that `make addon` makes of a wheel, out of a folder in which an older wheel was left."""
    place = tmp_path_factory.mktemp("addon")
    shutil.copytree(ADDON.parents[1], place / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "deploy" / "homeassistant" / "edgecl" / "edgecl-0.0.1-py3-none-any.whl").write_bytes(b"older")
    (wheel := place / "dist" / f"edgecl-{edgecl.__version__}-py3-none-any.whl").parent.mkdir()
    wheel.write_bytes(b"the wheel")
    subprocess.run([sys.executable, place / "deploy" / "addon.py", wheel], check=True, stdout=subprocess.DEVNULL)
    return wheel.with_name(f"edgecl-homeassistant-{edgecl.__version__}.tar")


def test_the_archive_is_the_folder_of_the_app_with_all_that_home_assistant_wants_of_it(archive):
    with tarfile.open(archive) as file:
        assert {entry.name for entry in file if entry.isfile()} == {
            "edgecl/CHANGELOG.md",
            "edgecl/DOCS.md",
            "edgecl/Dockerfile",
            "edgecl/README.md",
            "edgecl/begin.py",
            "edgecl/config.yaml",
            f"edgecl/edgecl-{edgecl.__version__}-py3-none-any.whl",
            "edgecl/icon.png",
            "edgecl/logo.png",
            "edgecl/translations/en.yaml",
        }


def test_all_that_its_dockerfile_copies_is_in_the_archive_and_the_wheel_but_once(archive, tmp_path):
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    app = tmp_path / "edgecl"
    steps = DockerfileParser(fileobj=io.BytesIO((app / "Dockerfile").read_bytes())).structure
    copied = [step["value"] for step in steps if step["instruction"] == "COPY"]
    found = [list(app.glob(name)) for value in copied if "--from" not in value for name in value.split()[:-1]]
    assert [len(files) for files in found] == [1, 1]
    assert next(app.glob("*.whl")).read_bytes() == b"the wheel"


# What it begins with


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        OPTIONS | {"cameras": []},
        OPTIONS | {"cameras": [{"url": 'rtsp://ann:pa"ss\\é@10.0.0.7/🐈'}, {"url": "browser:", "name": "phone"}]},
        OPTIONS | {"log_format": "json", "mqtt_image": True, "token": "sixteen characters".replace(" ", "-")},
    ],
    ids=["as they come", "no camera", "signs", "others"],
)
@pytest.mark.parametrize("offered", [None, BROKER, BROKER | {"username": "", "password": ""}, BROKER | {"ssl": True}])
def test_options_become_settings_that_say_the_same(begin, tmp_path, options, offered):
    begin.write(tmp_path, options, offered)
    settings = load_settings(tmp_path)
    assert [one.model_dump(include={"url", "name"}, exclude_none=True) for one in settings.cameras] == options[
        "cameras"
    ]
    assert settings.server.log_format == options["log_format"]
    assert settings.mqtt.host == (offered["host"] if offered else None)
    if offered:
        assert (settings.mqtt.tls, settings.mqtt.image) == (offered["ssl"], options["mqtt_image"])
        assert settings.mqtt.username == (offered["username"] or None)
    assert Access.of(settings.server).token == options.get("token", read_token(tmp_path / "token"))


def test_ingress_alone_is_trusted_and_all_others_have_to_show_the_token(begin, tmp_path):
    begin.write(tmp_path, OPTIONS, None)
    server = load_settings(tmp_path).server
    assert str(server.trusted_proxy) == "172.30.32.2"
    assert (server.host, server.port) == ("0.0.0.0", CONFIG["ingress_port"])


def test_the_password_of_the_broker_is_in_a_file_of_its_own(begin, tmp_path):
    from edgecl.mqtt.account import read_password

    begin.write(tmp_path, OPTIONS, BROKER)
    assert "password =" not in (tmp_path / "edgecl.toml").read_text("utf-8")
    assert read_password(load_settings(tmp_path).mqtt.password_file) == BROKER["password"]


def test_what_may_hold_a_password_is_for_nobody_else_to_read(begin, tmp_path):
    (tmp_path / "token").touch(mode=0o644)
    begin.write(tmp_path, OPTIONS | {"token": "a-token-that-was-chosen"}, BROKER)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {
        "edgecl.toml": "0o600",
        "mqtt-password": "0o600",
        "token": "0o600",
    }


def test_a_token_that_nobody_chose_stays_the_same(begin, tmp_path):
    begin.write(tmp_path, OPTIONS, None)
    first = read_token(tmp_path / "token")
    begin.write(tmp_path, OPTIONS, None)
    assert read_token(tmp_path / "token") == first


def test_the_broker_is_asked_for_as_the_one_who_may(begin):
    with supervisor(200, {"result": "ok", "data": BROKER}) as (address, asked):
        assert begin.broker(address, "secret") == BROKER
    assert asked == [("/services/mqtt", "Bearer secret")]


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (400, {"result": "error", "message": "Service not enabled"}, "Service not enabled"),
        (502, b"<html>", "JSONDecodeError"),
        (200, {"result": "ok"}, "KeyError"),
    ],
)
def test_without_a_broker_it_begins_all_the_same_and_says_why(begin, capsys, status, answer, said):
    with supervisor(status, answer) as (address, _):
        assert begin.broker(address, "secret") is None
    told = capsys.readouterr().err
    assert said in told
    assert "secret" not in told
    assert begin.broker(address, "secret") is None  # nobody answers there any more
    assert "Connection refused" in capsys.readouterr().err
