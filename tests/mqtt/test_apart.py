"""MQTT is an extra: nothing needs it, and it needs little."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import edgecl
from edgecl.config import MqttSettings
from edgecl.errors import ExtraMissing
from edgecl.mqtt.client import Mqtt


def test_without_paho_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "edgecl.mqtt.connection", raising=False)
    monkeypatch.setitem(sys.modules, "paho", None)
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(ExtraMissing, match=r"edgecl\[mqtt\]"):
        Mqtt(None, MqttSettings(host="broker"))


def test_nothing_but_the_commands_and_the_doctor_knows_mqtt():
    package = Path(edgecl.__file__).parent
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in ("mqtt", "cli", "doctor"):
            continue
        names = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in names if name and name.startswith("edgecl.mqtt")], path


def test_mqtt_knows_no_store_and_no_page():
    for path in (Path(edgecl.__file__).parent / "mqtt").glob("*.py"):
        names = [
            node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
        ]
        assert not [name for name in names if name.startswith(("edgecl.memory", "edgecl.web", "edgecl.cli"))], path
