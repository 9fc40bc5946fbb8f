"""edgecl.toml: what it may say, and what is said of it when it may not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from edgecl.config import Settings, load_settings
from edgecl.errors import ConfigRefused


def settings_of(folder: Path, text: str) -> Settings:
    (folder / "edgecl.toml").write_text(text, "utf-8")
    return load_settings(folder)


def refusal_of(folder: Path, text: str) -> str:
    with pytest.raises(ConfigRefused) as caught:
        settings_of(folder, text)
    return str(caught.value)


def home_with(**variables: str) -> Path:
    """What another process with these variables takes for its home."""
    clean = {key: value for key, value in os.environ.items() if key not in ("EDGECL_HOME", "XDG_DATA_HOME")}
    script = "from edgecl.config import default_home; print(default_home())"
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean | variables, capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


def test_without_a_file_the_defaults_hold(tmp_path):
    assert load_settings(tmp_path) == Settings()


def test_a_home_that_is_not_there_has_the_defaults(tmp_path):
    assert load_settings(tmp_path / "nowhere" / "yet") == Settings()


def test_an_empty_file_gives_the_defaults(tmp_path):
    assert settings_of(tmp_path, "") == Settings()


def test_what_is_set_is_taken_and_the_rest_stays(tmp_path):
    found = settings_of(tmp_path, '[memory]\nper_class = 7\n[backbone]\nprecision = "fp32"\n')
    assert (found.memory.per_class, found.backbone.precision) == (7, "fp32")
    assert found.memory.total == Settings().memory.total
    assert found.gate == Settings().gate


@pytest.mark.parametrize(
    ("text", "place", "value"),
    [
        ("[memory]\nper_class = 0\n", "memory.per_class", "0"),
        ("[memory]\nper_class = -3\n", "memory.per_class", "-3"),
        ('[memory]\nper_class = "many"\n', "memory.per_class", "'many'"),
        ("[memory]\nredundant_cosine = 1.01\n", "memory.redundant_cosine", "1.01"),
        ("[memory]\nredundant_cosine = nan\n", "memory.redundant_cosine", "nan"),
        ("[camera]\nread_timeout_s = 0\n", "camera.read_timeout_s", "0"),
        ('[backbone]\nprecision = "int4"\n', "backbone.precision", "'int4'"),
        ("[backbone]\nthreads = -1\n", "backbone.threads", "-1"),
        ("[gate]\nblur_min = -0.5\n", "gate.blur_min", "-0.5"),
        ("[stream]\nsmoothing_s = -1\n", "stream.smoothing_s", "-1"),
    ],
)
def test_a_bad_value_is_refused_with_its_place_and_itself(tmp_path, text, place, value):
    message = refusal_of(tmp_path, text)
    assert f"{place}: found {value}" in message
    assert str(tmp_path / "edgecl.toml") in message


def test_every_bad_value_is_named_at_once(tmp_path):
    message = refusal_of(tmp_path, "[memory]\nper_class = 0\n[camera]\nwidth_px = 0\n")
    assert "memory.per_class" in message
    assert "camera.width_px" in message


@pytest.mark.parametrize(
    ("text", "place"), [("[memory]\nper_clas = 3\n", "memory.per_clas"), ("[memories]\nper_class = 3\n", "memories")]
)
def test_an_unknown_name_is_refused(tmp_path, text, place):
    assert place in refusal_of(tmp_path, text)


def test_a_section_that_got_into_another_is_told_where_it_belongs(tmp_path):
    message = refusal_of(tmp_path, '[[cameras]]\nurl = "0"\nserver.names = ["cam.lan"]\n')
    assert "found server as a part of cameras.0, expected it below a header of its own: [server]" in message


def test_a_value_where_a_section_belongs_is_refused(tmp_path):
    assert "memory: found 3" in refusal_of(tmp_path, "memory = 3\n")


@pytest.mark.parametrize("text", ["memory per_class = 3", "[memory\nper_class = 3", "per_class = \n"])
def test_what_is_not_toml_is_refused_with_the_line(tmp_path, text):
    message = refusal_of(tmp_path, text)
    assert "expected TOML" in message
    assert "line 1" in message


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "edgecl.toml").write_bytes(b"[memory]\nper_class = \xff\xfe\n")
    with pytest.raises(ConfigRefused, match=r"edgecl\.toml"):
        load_settings(tmp_path)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "edgecl.toml").mkdir()
    with pytest.raises(ConfigRefused, match=r"edgecl\.toml"):
        load_settings(tmp_path)


def test_settings_cannot_be_changed_while_running():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().memory.per_class = 3


def test_the_home_is_what_the_environment_says(tmp_path):
    assert home_with(EDGECL_HOME=str(tmp_path / "mine")) == tmp_path / "mine"


def test_an_empty_variable_counts_as_none(tmp_path):
    assert home_with(EDGECL_HOME="", XDG_DATA_HOME=str(tmp_path)) == tmp_path / "edgecl"


def test_without_the_variable_the_home_is_the_users_data_folder(tmp_path):
    assert home_with(XDG_DATA_HOME=str(tmp_path)) == tmp_path / "edgecl"
