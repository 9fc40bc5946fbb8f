"""A release comes to a home: verified, put beside the others, switched to; for whoever has no frames to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgecl.config import Settings
from edgecl.errors import ReleaseError, ReleaseRefused
from edgecl.learner import Learner
from edgecl.releases import slots, transitions
from edgecl.releases.bundle import Folder, Source, open_source
from edgecl.releases.signing import trusted_keys
from edgecl.releases.swap import Swap, Switched, tidy
from edgecl.releases.verification import Ground, Verified, verify

Say = Callable[[str, int, int], None]
WORKER_WAIT_S = 0.2


def source_of(home: Path, text: str) -> Source:
    """The release that `text` names: a number of a release in this home, a folder, or a file.

    Raises:
        ReleaseError: there is none.
        ReleaseRefused: see `open_source`.
    """
    if text.isdecimal() and not Path(text).exists():
        number = int(text)
        folder = slots.release_folder(home, number)
        slots.read_journal(home).entry(number)
        if not (folder.is_dir() and slots.read_document(folder) is not None):
            raise ReleaseError(f"found release {number} without a document, expected one made by a consolidation")
        return open_source(folder)
    return open_source(Path(text))


def ground_of(home: Path, settings: Settings, above: bool = True) -> Ground:
    """This home as the ground that a release is to run on.

    Raises:
        BackboneMissing, ReleaseError: see `read_journal` and `trusted_keys`.
    """
    journal = slots.read_journal(home)
    return Ground(
        home,
        slots.release_folder(home, journal.active),
        journal.highest,
        trusted_keys(home),
        settings.backbone,
        above=above,
    )


def lies_here(home: Path, source: Source) -> bool:
    """Whether it is one of this home's own releases, which may have run before and is looked at again."""
    return isinstance(source, Folder) and Path(source.title).resolve().parent == (home / "releases").resolve()


def receive(home: Path, source: Source, settings: Settings, unsigned: bool = False) -> Verified:
    """Verify a release and put it beside the others, as a candidate. One that lies there already stays.

    Raises:
        ReleaseRefused: with the reason; the home is as it was.
        StoreUnwritable: the disk refuses; likewise.
    """
    verified = verify(source, ground_of(home, settings), unsigned)
    number = verified.document.number
    if lies_here(home, source):
        if Path(source.title).resolve() != slots.release_folder(home, number).resolve():
            raise ReleaseRefused(f"found release {number} in {source.title}, expected it in the folder of its number")
    else:
        signer = "nobody" if verified.signer is None else verified.signer.comment or verified.signer.id
        transitions.put_candidate(home, number, verified.files, f"received, signed by {signer}")
    return verified


def install(
    learner: Learner, number: int, files: Mapping[str, bytes], say: Say = lambda what, done, of: None
) -> Switched:
    """Let the verified candidate `number`, with these files, be embedded, learned from, compared, and switched to.

    Raises:
        ReleaseRefused: it may not run here; what runs is as it was, and the reason stands beside the candidate.
        StoreUnwritable: the disk refuses; likewise.
    """
    swap = Swap(learner, number, files, wait_s=WORKER_WAIT_S)
    try:
        while not swap.step():
            say(swap.stage, swap.done, swap.total)
        switched = swap.switch()
    except ReleaseRefused as error:
        transitions.note(learner.store.home, number, str(error))
        raise
    finally:
        swap.cancel()
    tidy(learner)
    return switched
