"""The command tells the broker of its settings."""

from __future__ import annotations

import subprocess
import sys

from brokers import listening
from daemons import running
from mqtt_worlds import ROOT


def test_the_command_tells_the_broker_of_its_settings_and_says_goodbye(home, near):
    with (home / "edgecl.toml").open("a") as settings:
        settings.write(f'[mqtt]\nhost = "127.0.0.1"\nport = {near.port}\nnode = "board"\n')
    with listening(near.port) as ear, running(home, "--camera", "browser:") as process:
        ear.wait(f"{ROOT}/availability", lambda one: one.text == "online")
        assert "edgecl_broker_up 1.0" in process.client.get("/metrics").text
        assert process.end() == 0
        ear.wait(f"{ROOT}/availability", lambda one: one.text == "offline")


def test_the_command_ends_with_a_remedy_where_the_password_is_open_to_others(home, tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o644)
    with (home / "edgecl.toml").open("a") as settings:
        settings.write(f'[mqtt]\nhost = "127.0.0.1"\nusername = "one"\npassword_file = "{password}"\n')
    command = [sys.executable, "-m", "edgecl", "run", "--home", str(home), "--camera", "browser:", "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"chmod 600 {password}" in ended.stderr
