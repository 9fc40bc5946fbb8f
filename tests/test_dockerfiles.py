"""The images and the compose file keep what they promise, as far as that can be told without Docker."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from brokers import broker
from daemons import eventually
from dockerfile_parse import DockerfileParser
from paho.mqtt.client import CallbackAPIVersion, Client

from edgecl.config import load_settings
from edgecl.web.access import read_token

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "deploy/docker"
ADDON = ROOT / "deploy/homeassistant/edgecl"
IMAGES = ("Dockerfile", "Dockerfile.jetson")
DOCKERFILES = {
    DOCKER / "Dockerfile": ROOT,
    DOCKER / "Dockerfile.jetson": ROOT,
    ADDON / "Dockerfile": ADDON,
}  # with what COPY copies from
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
MADE = ("edgecl-*.whl", "onnxruntime_gpu-*.whl")  # by `make wheel`; brought by who builds for a Jetson

for_every_dockerfile = pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(ROOT)))
for_every_service = pytest.mark.parametrize("name", COMPOSE["services"])


def every_step(file):
    """(instruction, value), in their order."""
    parser = DockerfileParser(fileobj=io.BytesIO(file.read_bytes()))
    return [(one["instruction"], one["value"]) for one in parser.structure]


def steps(file, *names):
    """What instructions of these names say in the last stage."""
    found = every_step(file)
    last = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return [value for name, value in found[last:] if name in names]


def load(path):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Dockerfiles


@for_every_dockerfile
def test_the_linter_finds_nothing(file):
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", file], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


@for_every_dockerfile
def test_what_the_linter_is_not_to_see_is_one_rule_with_its_reason_above(file):
    lines = file.read_text("utf-8").splitlines()
    ignored = [number for number, line in enumerate(lines) if "hadolint ignore" in line]
    assert {lines[number] for number in ignored} == {"# hadolint ignore=DL3008"}
    for number in ignored:
        assert lines[number - 1].startswith("# "), lines[number]
        assert any("Versions" in line for line in lines[number - 2 : number])


@for_every_dockerfile
def test_all_that_is_copied_is_there_or_made(file):
    found = every_step(file)
    arguments = dict(value.split("=", 1) for name, value in found if name == "ARG")
    copied = [value for name, value in found if name == "COPY" and not value.startswith("--from=")]
    assert copied
    for sources in (value.split()[:-1] for value in copied):
        for source in (re.sub(r"\$\{(\w+)\}", lambda it: arguments[it[1]], source) for source in sources):
            assert (DOCKERFILES[file] / source).exists() or Path(source).name in MADE, source


def test_only_wheels_are_sent_to_the_builder():
    rules = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert rules == ["*", "!dist/*.whl"]


@for_every_dockerfile
def test_no_tool_that_builds_is_left_in_the_image(file):
    for step in steps(file, "RUN"):
        assert not re.search(r"\bpip\b|python3-(pip|venv|dev)|\bgcc\b|build-essential", step)
        assert "rm -rf /var/lib/apt/lists/*" in step


@pytest.mark.parametrize("name", IMAGES)
def test_the_image_runs_as_a_user_who_is_not_root_and_whose_number_is_fixed(name):
    assert steps(DOCKER / name, "USER") == ["8420"]
    assert any("useradd --uid 8420 " in step for step in steps(DOCKER / name, "RUN"))


@for_every_dockerfile
def test_a_signal_reaches_the_daemon_itself(file):
    """A shell in between would keep SIGTERM for itself."""
    commands = steps(file, "ENTRYPOINT", "CMD")
    assert commands
    assert all(isinstance(json.loads(command), list) for command in commands)


@pytest.mark.parametrize("name", IMAGES)
def test_whoever_can_reach_the_image_has_to_show_a_token(name):
    command = json.loads(steps(DOCKER / name, "CMD")[0])
    assert command == ["run", "--host", "0.0.0.0", "--token-file", "/run/secrets/edgecl_token"]
    assert steps(DOCKER / name, "VOLUME") == ['["/var/lib/edgecl"]']


@for_every_dockerfile
@pytest.mark.parametrize(("status", "healthy"), [(b"200 OK", True), (b"503 Service Unavailable", False), (None, False)])
def test_the_health_check_tells_a_daemon_that_answers_from_one_that_does_not(file, status, healthy):
    command = json.loads(steps(file, "HEALTHCHECK")[0].partition(" CMD ")[2])
    assert command[:2] == ["python3", "-c"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listening.settimeout(20)
        code = command[2].replace("8420", str(port))
        assert code != command[2]
        if status is None:
            listening.close()
        asking = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        if status is not None:
            line, _ = listening.accept()
            with line:
                assert line.recv(4096).startswith(b"GET /healthz HTTP/1.1\r\n")
                line.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        assert (asking.wait(20) == 0) is healthy


# Compose


@for_every_service
def test_a_container_may_do_no_more_than_it_has_to(name):
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["mem_limit"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "userns_mode"} & set(service)


@for_every_service
def test_nothing_is_open_to_others_than_this_machine(name):
    assert COMPOSE["services"][name]["ports"]
    assert all(str(port).startswith("127.0.0.1:") for port in COMPOSE["services"][name]["ports"])


@for_every_service
def test_its_health_is_looked_after(name):
    service = COMPOSE["services"][name]
    assert "healthcheck" in service or (
        "build" in service and steps(ROOT / service["build"]["dockerfile"], "HEALTHCHECK")
    )


@for_every_service
def test_secrets_come_as_files_that_are_not_in_the_repository(name):
    service = COMPOSE["services"][name]
    assert "environment" not in service
    assert "env_file" not in service
    for secret in service["secrets"]:
        file = COMPOSE["secrets"][secret]["file"]
        ignored = subprocess.run(["git", "check-ignore", "-q", DOCKER / file], cwd=ROOT, check=False)
        assert ignored.returncode == 0, file


@for_every_service
def test_what_is_mounted_is_there_and_cannot_be_written(name):
    for volume in COMPOSE["services"][name]["volumes"]:
        source, _, options = volume.partition(":")
        if source.startswith("."):
            assert (DOCKER / source).is_file(), source
            assert options.endswith(":ro"), volume
        else:
            assert source in COMPOSE["volumes"]


def test_the_settings_are_those_that_the_broker_and_the_image_expect(tmp_path):
    (tmp_path / "edgecl.toml").write_bytes((DOCKER / "edgecl.toml").read_bytes())
    settings = load_settings(tmp_path)
    secrets = load(DOCKER / "make_secrets.py")
    assert settings.mqtt.host in COMPOSE["services"]
    assert settings.mqtt.username == secrets.USER
    assert settings.mqtt.password_file == Path("/run/secrets/mqtt_password")
    assert settings.server.port == 8420


def test_prometheus_asks_the_daemon_and_shows_the_token():
    job = yaml.safe_load((DOCKER / "prometheus.yml").read_text("utf-8"))["scrape_configs"][0]
    host, port = job["static_configs"][0]["targets"][0].split(":")
    assert (COMPOSE["services"]["edgecl"]["hostname"], port) == (host, "8420")
    assert job["authorization"]["credentials_file"] == "/run/secrets/prometheus_token"
    assert "prometheus_token" in COMPOSE["services"]["prometheus"]["secrets"]
    assert job.get("metrics_path", "/metrics") == "/metrics"


def test_the_secrets_are_new_each_for_one_user_and_good_for_what_they_are(tmp_path):
    secrets, given = load(DOCKER / "make_secrets.py"), {}
    for name in ("first", "second"):
        secrets.make(tmp_path / name, lambda path, user, group: given.update({path.name: (user, group)}))
    first, second = tmp_path / "first", tmp_path / "second"
    assert sorted(path.name for path in first.iterdir()) == sorted(COMPOSE["secrets"])
    for path in first.iterdir():
        assert path.read_bytes() != (second / path.name).read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600
    assert read_token(first / "edgecl_token") == read_token(first / "prometheus_token")
    assert given == {
        "edgecl_token": (8420, 8420),
        "mqtt_password": (8420, 8420),
        "mosquitto_passwords": (1883, 1883),
        "prometheus_token": (65_534, 65_534),
    }


def test_the_broker_lets_in_who_shows_the_password_and_nobody_else(tmp_path):
    secrets = load(DOCKER / "make_secrets.py")
    secrets.make(tmp_path / "secrets", lambda *_: None)
    lines = (
        (DOCKER / "mosquitto.conf").read_text("utf-8").replace("/run/secrets", str(tmp_path / "secrets")).splitlines()
    )
    ours = [line for line in lines if line.startswith(("allow_", "password_"))]
    assert len(ours) == 2
    password = (tmp_path / "secrets/mqtt_password").read_text("ascii").strip()
    with broker(tmp_path, *ours) as found:
        assert _let_in(found.port, secrets.USER, password)
        assert not _let_in(found.port, secrets.USER, password[:-1])
        assert not _let_in(found.port)


def test_the_broker_keeps_what_it_is_to_keep_where_its_volume_is():
    text = (DOCKER / "mosquitto.conf").read_text("utf-8")
    assert "\nlistener 1883\n" in text
    assert "\npersistence_location /mosquitto/data/\n" in text
    assert "broker:/mosquitto/data" in COMPOSE["services"]["mosquitto"]["volumes"]


def _let_in(port, user=None, password=None):
    answers, client = [], Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda _, __, ___, reason, ____: answers.append(not reason.is_failure)
    if user is not None:
        client.username_pw_set(user, password)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        eventually(lambda: answers, "the broker's answer")
    finally:
        client.disconnect()
        client.loop_stop()
    return answers[0]
