"""With what account a broker is spoken to: nobody is told unasked, and a password stays with its owner."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgecl.config import MqttSettings
from edgecl.errors import ConfigRefused
from edgecl.mqtt.account import Account, read_password


def test_without_a_host_nobody_is_told():
    assert MqttSettings().host is None
    assert not MqttSettings().image


def test_a_password_belongs_to_a_user(tmp_path):
    with pytest.raises(ValidationError, match="username"):
        MqttSettings(password_file=tmp_path / "password")


def test_a_password_is_one_line_without_its_end(tmp_path):
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text("pass word\n")
    assert read_password(path) == "pass word"


@pytest.mark.parametrize(
    ("mode", "text", "says"), [(0o640, "secret", "chmod 600"), (0o600, "", "no password"), (0o600, "a\nb", "one line")]
)
def test_a_password_that_others_read_or_that_is_none_is_refused(tmp_path, mode, text, says):
    path = tmp_path / "password"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigRefused, match=says):
        read_password(path)


def test_a_password_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigRefused, match="could not read"):
        read_password(tmp_path / "password")


def test_the_password_is_not_shown_with_the_account():
    assert "secret" not in repr(Account("broker", 1883, False, "me", "me", "secret"))
