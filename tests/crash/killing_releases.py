"""Kills a process while it receives, switches to, tries or rolls back a release: at every n-th writing system call.

Run as a program it copies a home, lets a child change each copy in the same way and kills the child at its first,
second, third … writing call, until one gets through. What the copies hold then is for the test to judge. This process
opens no session of ONNX Runtime itself: a forked child would inherit it without its threads.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tiny
from killing import killed_at_write

from edgecl.config import ReleaseSettings
from edgecl.home import Home
from edgecl.releases import slots, transitions, watch
from edgecl.releases.bundle import open_source
from edgecl.releases.installing import install, receive

PICTURE = tiny.pictures(1)[0]


def receive_it(home: Path) -> None:
    """Verify the single file beside the home, and put it there as a candidate."""
    receive(home, open_source(home.parent / "release-0002.edgecl"), tiny.SETTINGS, unsigned=True)


def install_it(home: Path) -> None:
    """Embed, learn, compare and switch to candidate 2."""
    with Home.at(home).learner() as learner:
        install(learner, 2, tiny.files_of(home, 2))


def roll_back(home: Path) -> None:
    """As the command does: back to release 1, and learn what was taught meanwhile."""
    transitions.roll_back(home, "killed", 2)
    with Home.at(home).learner():
        pass


def become_good(home: Path) -> None:
    """A process that answers frames finds that the trial of release 2 is over, and tidies up."""
    rules = ReleaseSettings(trial_minutes=0.0, trial_frames=3, keep=0)
    place = Home(home, tiny.SETTINGS.model_copy(update={"release": rules}))
    with place.watched(live=True) as found:
        for _ in range(5):
            found.see(PICTURE)


def fail_the_trial(home: Path) -> None:
    """A process that answers frames finds that release 2 gives numbers that are not finite, and lets go of it."""
    with Home.at(home).learner() as learner, watch.watching(learner) as found:
        found.see(tiny.BLACK)


def export_anew(home: Path) -> None:
    """Another backbone takes the place of all releases."""
    slots.install_first(home, home.parent / "exported")


WORK: dict[str, Callable[[Path], None]] = {
    "receive": receive_it,
    "install": install_it,
    "roll back": roll_back,
    "become good": become_good,
    "fail the trial": fail_the_trial,
    "export anew": export_anew,
}


def main(template: Path, what: str, stride: int) -> int:
    """Leave copies 1, 1 + stride, … beside `template`, each after a kill. Returns the number that got through."""
    n, through = 1, False
    while not through and n < 2000:
        home = shutil.copytree(template, template.parent / str(n), symlinks=True)
        through = killed_at_write(lambda home=home: WORK[what](home), n)
        n += stride
    return n - stride


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
