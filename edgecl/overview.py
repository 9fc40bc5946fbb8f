"""What a home holds, at a glance."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from edgecl.daemon import note
from edgecl.daemon.note import Note
from edgecl.daemon.running import running_on
from edgecl.errors import ReleaseError
from edgecl.home import Home
from edgecl.learner import Learner
from edgecl.manifest import read_manifest
from edgecl.releases import CURRENT
from edgecl.releases.journal import Trial
from edgecl.releases.slots import read_journal, unsettled
from edgecl.runtime import Execution
from edgecl.types import Lesson


@dataclass(frozen=True)
class ClassSummary:
    """One class.

    Attributes:
        id: never reused.
        name: of the class now.
        examples: kept.
        accuracy: on the left-out half of its examples, None where it has a single one.
        taught_at: of the newest lesson about it, s, UTC since the epoch; None where the history no longer tells.
    """

    id: int
    name: str
    examples: int
    accuracy: float | None
    taught_at: float | None


def class_summaries(learner: Learner) -> list[ClassSummary]:
    """Every class, by rising id."""
    taught = learner.store.last_taught()
    counts = learner.store.counts()
    held_out = learner.recogniser.held_out if learner.recogniser is not None else None
    return [
        ClassSummary(
            number,
            name,
            counts[number],
            held_out.of(number) if held_out is not None else None,
            taught.get(number),
        )
        for number, name in learner.names.items()
    ]


@dataclass(frozen=True)
class Status:
    """A home as it is now. Without a backbone its four fields are None.

    Attributes:
        home: the folder.
        release: number of the active release.
        backbone: its name.
        execution: how what starts now runs it.
        tail: sha256 of the tail that runs.
        classes: taught.
        examples: kept.
        bytes: of the memory on disk.
        reviews: frames that wait for a person.
        revision: of the memory.
        foreign_trunk: whether the memory was made by another trunk, so that nothing can be learned or answered.
        head_revision: revision that the stored head was fitted to, None where there is no head for this tail.
        last_lesson: the newest that was not undone.
        release_state: of the active release: good or trial; None where its journal is damaged, or nothing runs.
        trial: how far its trial is, None where it is in none.
        daemon: that holds the home, None where none does.
        running: how the daemon runs the backbone, None where there is none that says so.
        unsettled: what `current` says other than the journal, None where they agree.
    """

    home: Path
    release: int | None
    backbone: str | None
    execution: Execution | None
    tail: str | None
    classes: int
    examples: int
    bytes: int
    reviews: int
    revision: int
    foreign_trunk: bool
    head_revision: int | None
    last_lesson: Lesson | None
    release_state: str | None = None
    trial: Trial | None = None
    unsettled: str | None = None
    daemon: Note | None = None
    running: Execution | None = None

    @property
    def head_is_current(self) -> bool:
        """Whether the stored head knows all that the memory holds."""
        return self.head_revision == self.revision or not self.examples


def status(home: Home) -> Status:
    """Look at `home` without changing it and without loading the backbone.

    Raises:
        StoreError: there is no memory, or it cannot be read.
        BackboneDamaged: the release's manifest cannot be read.
    """
    link = home.folder / CURRENT
    name = execution = tail = trunk = None
    number = int(link.resolve().name) if link.is_dir() and link.resolve().name.isdigit() else None
    if link.is_dir():
        manifest = read_manifest(link)
        name, execution = manifest.name, Execution.of(home.settings.backbone)
        graphs = manifest.graphs.get(execution.precision)
        if graphs is not None:
            tail, trunk = graphs.tail.sha256, graphs.trunk.sha256
    journal = None
    with contextlib.suppress(ReleaseError):  # which `doctor` tells of
        journal = read_journal(home.folder) if number is not None else None
    daemon = note.running(home.folder)
    with home.store(writable=False) as store:
        head = store.heads.get(tail, home.settings.head.name) if tail is not None else None
        return Status(
            home=home.folder,
            release=number,
            backbone=name,
            execution=execution,
            tail=tail,
            classes=len(store.classes()),
            examples=sum(store.counts().values()),
            bytes=store.bytes_used(),
            reviews=len(store.reviews),
            revision=store.revision,
            foreign_trunk=trunk is not None and store.trunk() not in (None, trunk),
            head_revision=head[0] if head is not None else None,
            last_lesson=next((lesson for lesson in store.history() if lesson.undone_at is None), None),
            release_state=journal.current.state if journal is not None else None,
            trial=journal.trial if journal is not None else None,
            unsettled=unsettled(home.folder, journal) if journal is not None else None,
            daemon=daemon,
            running=running_on(daemon) if daemon is not None else None,
        )
