"""What several test files share."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from edgecl.releases import slots

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # so a shell starts what it puts in the background, for children too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_bundled_backbone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As in a fresh checkout, also where `make wheel` left one."""
    monkeypatch.setattr(slots, "BUNDLED", tmp_path_factory.getbasetemp() / "nothing")


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EfficientNet-Lite0, exported once for all tests and all workers; read-only by agreement."""
    pytest.importorskip("torch")
    from edgecl.workstation.export import export

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a folder of its own below the one they share
        root = root.parent
    folder = root / "efficientnet-lite0"
    with (root / "export.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not folder.exists():
            export("efficientnet-lite0", folder)
    return folder
