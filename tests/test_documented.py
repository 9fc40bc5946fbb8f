"""Documents fail here when they lie by leaving something out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import edgecl
from edgecl import records
from edgecl.cli.app import app
from edgecl.config import CameraEntry, Settings, load_settings
from edgecl.manifest import BackboneManifest
from edgecl.memory import schema

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def commands(command: Any, path: str = "edgecl") -> Iterator[tuple[str, Any]]:
    """Every command that can be called, as it is typed."""
    inner = getattr(command, "commands", {})
    if not inner:
        yield path, command
    for name, one in inner.items():
        yield from commands(one, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app)))
SECTIONS = {name: getattr(Settings(), name) for name in Settings.model_fields if name != "cameras"}
SECTIONS["cameras"] = CameraEntry(url="0")  # one of a list
SETTINGS = [(section, name) for section, one in SECTIONS.items() for name in type(one).model_fields]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name):
    assert f"`{name}" in page("docs/formats.md")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_home_and_help(name):
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    expected = {"--json"} if name.startswith("edgecl service ") else {"--json", "--home"}  # which has one home
    assert expected <= options
    assert COMMANDS[name].help


@pytest.mark.parametrize(("section", "name"), SETTINGS)
def test_every_setting_is_documented_with_its_default(section, name):
    default = type(SECTIONS[section]).model_fields[name].default
    shown = (
        str(default).lower() if isinstance(default, bool) else f"{default:g}" if isinstance(default, float) else default
    )
    if default is PydanticUndefined:
        shown = "–"  # has to be given
    elif default in (None, ()):
        shown = "none"
    row = re.search(rf"^\| `{section}\.{name}` \| `?\"?([^|\"`]*)\"?`? \|", page("docs/operations.md"), re.MULTILINE)
    assert row, f"docs/operations.md has no row for {section}.{name}"
    assert row[1].strip() == str(shown)


def test_no_setting_is_documented_that_is_none():
    sections = "|".join(Settings.model_fields)
    rows = re.findall(rf"^\| `((?:{sections})\.\w+)` \|", page("docs/operations.md"), re.MULTILINE)
    assert sorted(rows) == sorted(f"{section}.{name}" for section, name in SETTINGS)


@pytest.mark.parametrize("example", re.findall(r"^```toml\n(.*?)^```", page("docs/operations.md"), re.M | re.S))
def test_the_example_settings_can_be_read(tmp_path, example):
    (tmp_path / "edgecl.toml").write_text(example, "utf-8")
    assert load_settings(tmp_path) != Settings()


@pytest.mark.parametrize("name", [name for name in vars(records) if name.startswith("of_")])
def test_every_field_of_the_json_is_documented(name):
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(getattr(records, name)))
    keys = [key.value for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys if key is not None]
    text = page("docs/formats.md")
    assert keys
    for key in keys:
        assert f"`{key}`" in text, key


def fields(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


def test_every_field_of_the_manifest_is_documented():
    text = page("docs/formats.md")
    for name in fields(BackboneManifest):
        assert f"`{name}`" in text, name


def test_every_table_and_column_of_the_memory_is_documented():
    text = page("docs/formats.md")
    for name, made in schema.expected_shape().items():
        kind, _, table = name.partition(" ")
        if kind != "table" or table.startswith("sqlite_"):
            continue
        row = re.search(rf"^\| `{table}` \|(.*)$", text, re.MULTILINE)
        assert row, table
        columns = re.findall(r"(?:\(|,)\s*([a-z_]+) (?:INTEGER|TEXT|REAL|BLOB)", made)
        assert [column for column in columns if f"`{column}`" not in row[1]] == []


def test_the_version_is_in_the_changelog():
    assert re.search(rf"^## \[(Unreleased|{re.escape(edgecl.__version__)})\]", page("CHANGELOG.md"), re.MULTILINE)
    assert f"[{edgecl.__version__}]" in page("CHANGELOG.md")


def test_the_licence_is_the_one_that_the_package_declares():
    assert re.search(r'^license = "Apache-2.0"$', page("pyproject.toml"), re.MULTILINE)
    assert "Apache License\n                           Version 2.0, January 2004" in page("LICENSE")
    assert "END OF TERMS AND CONDITIONS" in page("LICENSE")
