"""A training on disk after every epoch, so that one that was cut off is taken up again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from edgecl.errors import ConsolidationRefused
from edgecl.files import private_folder, sha256, write_durably
from edgecl.workstation.training import Training

FILE = "checkpoint.safetensors"


def keep(training: Training, folder: Path, what: str) -> None:
    """Write where `training` stands into `folder`, in the place of an earlier checkpoint.

    Args:
        training: between two epochs.
        folder: made if need be.
        what: digest of everything that the training depends on.

    Raises:
        StoreUnwritable: the disk refused; the earlier checkpoint holds.
    """
    tensors, told = training.state()
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    about = {"what": what, "told": json.dumps(told)}
    private_folder(folder)
    write_durably(folder / FILE, safetensors.torch.save(whole, about | {"digest": _digest(whole, about)}))


def take_up(training: Training, folder: Path, what: str) -> None:
    """Let `training` go on from the checkpoint in `folder`.

    Raises:
        ConsolidationRefused: there is none, it is damaged, or it is of another training.
    """
    path = folder / FILE
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("what") != what:
                raise ConsolidationRefused(
                    f"found in {path} a training of another memory, release or recipe, expected this one; something "
                    "was taught since, or other options are given: leave out --resume to begin anew"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
            if about.pop("digest") != _digest(tensors, about):  # before any of it is taken in
                raise ValueError("its content is not what was written")
            training.load(tensors, json.loads(about["told"]))
    except FileNotFoundError as error:
        raise ConsolidationRefused(
            f"found no {path}, expected a training that was cut off; leave out --resume to begin anew"
        ) from error
    except (OSError, safetensors.SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ConsolidationRefused(
            f"could not take up {path}: {error!r:.200}; leave out --resume to begin anew"
        ) from error


def take_up_if_any(training: Training, folder: Path, what: str) -> None:
    """Let `training` go on from the checkpoint in `folder` if it is of this very training; else begin."""
    try:
        take_up(training, folder, what)
    except ConsolidationRefused:
        training.begin()


def _digest(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    content = [[name, sha256(tensors[name].cpu().numpy().tobytes())] for name in sorted(tensors)]
    return sha256(json.dumps([content, sorted(about.items())]).encode("utf-8"))


def drop(folder: Path) -> None:
    """Remove the checkpoint of a training that is done."""
    with contextlib.suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)
