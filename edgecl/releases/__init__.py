"""The home's releases: what runs, what may run next, and what ran before. No torch, no onnx."""

from __future__ import annotations

from edgecl.releases.slots import BUNDLED, CURRENT, current, install_first, release_folder, settle

__all__ = ["BUNDLED", "CURRENT", "current", "install_first", "release_folder", "settle"]
