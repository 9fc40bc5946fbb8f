"""A process that is killed while it changes the memory leaves it as before or as after, and never between.

What was acknowledged is always there. A kill does not show whether writes reach the disk in a power cut.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from memories import OTHER_TAIL, TAIL, content, examples

from edgecl.memory.store import Store

HERE = Path(__file__).parent


def killing(place, folder, what):
    """What `killing.py` prints; skips where the system lets no process be traced."""
    run = subprocess.run(
        [sys.executable, HERE / "killing.py", place, folder, str(what)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "lets no process be traced" in run.stderr:
        pytest.skip("this system lets no process be traced")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def outcome(home):
    """(everything that can be read, ids of all examples, displaced ones too, faults) after a kill."""
    with Store(home) as store:
        return content(store) if store.history() else None, store.missing_vectors(OTHER_TAIL), store.check()


@pytest.mark.parametrize("place", ["write", "statement"])
@pytest.mark.parametrize(
    ("what", "fewest"), [("teach", 30), ("undo", 20), ("forget", 20), ("create", 15), ("restore", 5)]
)
def test_a_kill_anywhere_leaves_the_memory_as_before_or_as_after(tmp_path, place, what, fewest):
    places = killing(place, tmp_path, what)
    assert places > fewest, "hardly any kill: the test proves nothing"
    before, after = outcome(tmp_path / "before"), outcome(tmp_path / str(places))
    if what != "create":
        assert before != after
    seen = []
    for n in range(1, places):
        found = outcome(tmp_path / str(n))
        assert found in (before, after), f"killed at {place} {n}"
        if (tmp_path / f"{n}.acknowledged").exists():
            assert found == after, f"killed at {place} {n}, after the acknowledgement"
        seen.append(found == after)
    assert before[2] == after[2] == []
    if what not in ("create", "restore"):
        assert seen == sorted(seen), "once a change is there it stays"
        assert {True, False} <= set(seen)


def test_kills_at_any_moment_lose_nothing_that_was_acknowledged(tmp_path):
    outcomes = killing("random", tmp_path, 40)
    earlier = 0
    for acknowledged, present, _ in outcomes:
        # one lesson at most was committed and not acknowledged since the kill before
        assert acknowledged <= present <= max(acknowledged, earlier) + 1
        earlier = present
    assert not any(faults for _, _, faults in outcomes)
    assert outcomes[-1][1] > 20, "hardly a lesson between the kills: the test proves nothing"


def test_a_forgetting_that_was_cut_off_leaves_no_trace_once_the_memory_was_opened_and_closed(tmp_path):
    places = killing("statement", tmp_path, "forget")
    (secret, *_) = examples(3, seed=2)
    pieces = [secret.latent.codes.tobytes()[i : i + 16] for i in range(0, 112, 16)]
    cut_off = 0
    for n in range(1, places + 1):
        with Store(tmp_path / str(n)) as store:
            forgotten = "mug" not in store.view(TAIL).names.values()
        if forgotten:
            cut_off += 1
            data = b"".join(path.read_bytes() for path in (tmp_path / str(n)).iterdir())
            assert not any(piece in data for piece in pieces)
    assert cut_off > 1
