"""The files of a release that its tail is made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import safetensors.torch
import torch

from edgecl.files import sha256
from edgecl.manifest import MANIFEST_FILE, FileEntry, Precision
from edgecl.releases.document import TRAINING_FILE
from edgecl.workstation.attempt import Attempt
from edgecl.workstation.export import ANSWERS_FILE, archive
from edgecl.workstation.parent import HELD_OUT, TRAINED_ON


def release_files(made: Attempt) -> dict[str, bytes]:
    """Name → bytes of everything but its report that a release does not share with its parent.

    manifest.json, a graph of each precision, answers.npz, and training.safetensors, from which the next consolidation
    goes on: the weights of the tail (`tail.NAME`), the importances (`PENALTY.importance.NAME`), measured where the
    training ended, and the marks of the latents that were trained on and held out so far (`exposure.trained`,
    `exposure.held`).
    """
    files: dict[str, bytes] = {}

    def entry(name: str, data: bytes) -> FileEntry:
        files[name] = data
        return FileEntry(file=name, bytes=len(data), sha256=sha256(data))

    answers = archive({f"{precision}.embeddings": found for precision, found in made.chosen.candidate.answers.items()})
    graphs = {
        precision: parts.model_copy(
            update={"tail": entry(_tail_name(precision), made.chosen.candidate.tails[precision])}
        )
        for precision, parts in made.parent.manifest.graphs.items()
    }
    manifest = made.parent.manifest.model_copy(
        update={"graphs": graphs, "answers": entry(ANSWERS_FILE, answers), "spread": made.chosen.candidate.spread}
    )
    weights = {f"tail.{name}": value.contiguous() for name, value in made.chosen.candidate.tail.state_dict().items()}
    importances = {**made.parent.importances, **made.trained.importances}
    exposure = {TRAINED_ON: torch.from_numpy(made.exposure.trained), HELD_OUT: torch.from_numpy(made.exposure.held)}
    files[TRAINING_FILE] = safetensors.torch.save({**weights, **importances, **exposure})
    files[MANIFEST_FILE] = manifest.to_bytes()
    return files


def write_whole(made: Attempt, folder: Path) -> Path:
    """The release in the new `folder`, with what it shares with its parent: for who wants to train it further."""
    shutil.copytree(made.parent.folder, folder)
    for name, data in release_files(made).items():
        (folder / name).write_bytes(data)
    return folder


def _tail_name(precision: Precision) -> str:
    return f"tail.{precision}.onnx"
