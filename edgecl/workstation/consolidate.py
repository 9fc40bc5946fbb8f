"""`edgecl consolidate`: a home's release and a memory → a report and, if it is measured better, the next release."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgecl.files import exclusive, private_folder, sha256, write_durably
from edgecl.heads import fit_of
from edgecl.home import Home
from edgecl.process import peak_rss_mb
from edgecl.releases import slots
from edgecl.releases.document import About
from edgecl.releases.making import add_candidate
from edgecl.releases.signing import KEY_FILE, public_key
from edgecl.remote import Device
from edgecl.workstation import checkpoint, due
from edgecl.workstation.acceptance import Bar
from edgecl.workstation.attempt import attempt
from edgecl.workstation.consolidation import Step, choose_device
from edgecl.workstation.material import Material
from edgecl.workstation.package import release_files
from edgecl.workstation.parent import Parent
from edgecl.workstation.recipes import Recipe
from edgecl.workstation.report import Report
from edgecl.workstation.sources import check_there, memory_at
from edgecl.workstation.training import Plan

_TAKE_UP = {"yes": checkpoint.take_up, "if-any": checkpoint.take_up_if_any}
FOLDER = "consolidation"  # in the home: the last report, and the checkpoint of a training that is not done


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        recipe: by which to train.
        plan: how to train.
        memory: where to learn from, see `memory_at`; None for the home's own memory.
        device: 'auto', 'cpu' or 'cuda'.
        resume: whether to go on with a training that was cut off: not at all, if there is one of this very kind, or by
            all means.
        key: private key to sign the release with; None for the home's own, if it has one.
    """

    recipe: Recipe
    plan: Plan
    memory: Path | Device | None = None
    device: str = "auto"
    resume: Literal["no", "if-any", "yes"] = "no"
    key: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of it: the report, where it lies, the release's number, None if it was refused, and if it is signed."""

    report: Report
    folder: Path
    release: int | None
    signed: bool

    def record(self) -> dict[str, Any]:
        """What `--json` prints."""
        return self.report.record() | {"release": self.release, "folder": str(self.folder)}


def consolidate(home: Home, order: Order, say: Callable[[str], None], step: Step | None = None) -> Outcome:
    """Train the tail of the home's release on a memory, judge it, and keep it as a candidate if it is better.

    The report lies in `HOME/consolidation/` in any case; nothing else is changed by a candidate that is refused.

    Args:
        home: whose release is trained further, and which gets the next one.
        order: what is asked for.
        say: told of each part, in words.
        step: called with training steps done and in all.

    Raises:
        ConsolidationRefused: this memory or these settings do not allow it; nothing was changed.
        BackboneError: the release cannot be trained further, or the memory is of another trunk.
        StoreError: the memory cannot be read, the disk is full, or another process consolidates in this home; what was
            there is as it was.
        ReleaseError: the release cannot be written.
    """
    check_there(source_of(home, order.memory)[0])  # before anything is made in a home that is none
    release = slots.current(home.folder)
    folder = private_folder(home.folder / FOLDER)
    with exclusive(folder / ".lock"):
        return _consolidate(home, release, order, folder, say, step)


def source_of(home: Home, memory: Path | Device | None) -> tuple[Path | Device, str]:
    """Where the memory is, and what it is called in the notes on when it was consolidated."""
    if memory is None:
        return home.folder, "home"  # wherever it is moved to
    return memory, memory.address if isinstance(memory, Device) else str(memory.resolve())


def _consolidate(
    home: Home, release: Path, order: Order, folder: Path, say: Callable[[str], None], step: Step | None
) -> Outcome:
    begun = time.monotonic()
    precision, device = home.settings.backbone.settled_precision, choose_device(order.device)
    key = _key(home, order)
    say("reading the release")
    parent = Parent.of(release)
    say("reading the memory")
    source, name = source_of(home, order.memory)
    with memory_at(source) as store:
        newest = due.newest_lesson(store)  # first: what is taught while the rest is read counts as new
        material = Material.of_examples(store.examples(), dict(store.classes()), parent.trunk_digest(precision))
    what = _fingerprint(parent, material, order)
    settings = home.settings.consolidation
    made = attempt(
        parent,
        material,
        order.recipe,
        order.plan,
        precision,
        fit_of(home.settings.head.name),
        bar=Bar(settings.gain_min, settings.class_fall_max, settings.unchanged_views, settings.latency_ratio_max),
        device=device,
        take_up=None if order.resume == "no" else partial(_TAKE_UP[order.resume], folder=folder, what=what),
        keep=partial(checkpoint.keep, folder=folder, what=what),
        step=step,
        say=say,
    )
    number_of_parent = int(parent.folder.name) if parent.folder.name.isdecimal() else None
    report = Report(
        made, order.recipe, order.plan, number_of_parent, len(material), time.monotonic() - begun, peak_rss_mb()
    )
    files, number = report.files(), None
    if made.chosen.verdict.accepted:
        say("writing the release")
        number = _new_candidate(home, key, files | release_files(made), report)
    checkpoint.drop(folder)
    for file, data in files.items():
        write_durably(folder / file, data)
    due.remember(folder, name, due.Last(newest, number))
    return Outcome(report, folder, number, key is not None)


def _key(home: Home, order: Order) -> Path | None:
    """The private key to sign with, tried before the work is done; None where there is none to be had."""
    key = order.key or home.folder / KEY_FILE
    if order.key is None and not key.exists():
        return None
    public_key(key)
    return key


def _new_candidate(home: Home, key: Path | None, files: Mapping[str, bytes], report: Report) -> int:
    """Put the release into the home, and give its number."""
    judged = report.made.chosen.judged
    about = About(
        created_at=time.time(),
        recipe=report.recipe.name,
        seed=report.plan.seed,
        accuracy_before=judged.accuracy_before,
        accuracy_after=judged.accuracy_after,
        classes=len(judged.judged),
        views=len(judged.expected),
    )
    return add_candidate(home.folder, report.made.parent.folder, files, about, key).number


def _fingerprint(parent: Parent, material: Material, order: Order) -> str:
    """Digest of everything that a training depends on."""
    about = [
        [graphs.tail.sha256 for graphs in parent.manifest.graphs.values()],
        [sha256(np.ascontiguousarray(column).tobytes()) for column in material.columns()],
        list(material.names.values()),
        vars(order.recipe),
        vars(order.plan) | {"minutes": None},  # so that one that was cut off may be given more time
        order.device,
    ]
    return sha256(json.dumps(about).encode("utf-8"))
