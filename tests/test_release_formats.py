"""Releases as every version of the format so far wrote them still run: the files in tests/releases are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from commands import run

from edgecl.backbone import Backbone
from edgecl.golden import check_golden

KEPT = sorted((Path(__file__).parent / "releases").iterdir())


def home_before(kept: Path, folder: Path) -> Path:
    """A home with the backbone that the release is for, three classes, and the keys of its owner."""
    home = tiny.taught(folder / "home", kept / "backbone")
    shutil.copy(kept / "trusted_keys", home / "trusted_keys")
    return home


def test_there_is_one_of_every_version():
    assert [kept.name for kept in KEPT] == ["v1"]


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
@pytest.mark.parametrize("name", ["release", "release.int8.edgecl"])
def test_a_release_of_an_earlier_version_is_verified_installed_and_answers(kept, name, tmp_path):
    home = home_before(kept, tmp_path)
    assert run("release", "verify", kept / name, "--home", home).status == 0
    done = run("release", "install", kept / name, "--home", home, "--json")
    assert done.status == 0, done.err
    assert (done.record["number"], done.record["state"]) == (2, "trial")
    backbone = Backbone(home / "current", tiny.ONE_THREAD)
    check_golden(backbone, home / "current")
    vectors = backbone.embed_activations(backbone.activations(np.stack([backbone.prepare(p) for p in tiny.pictures()])))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_one_for_devices_that_run_float32_is_as_well(kept, tmp_path):
    home = home_before(kept, tmp_path)
    (home / "edgecl.toml").write_text('[backbone]\nthreads = 1\nprecision = "fp32"\n')
    done = run("release", "verify", kept / "release.fp32.edgecl", "--home", home, "--json")
    assert done.status == 0, done.err
