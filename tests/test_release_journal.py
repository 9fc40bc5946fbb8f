"""What becomes of a release, as values."""

from __future__ import annotations

import pytest

from edgecl.errors import ReleaseError
from edgecl.releases import journal as journals
from edgecl.releases.journal import JOURNAL_FILE, Journal, Trial

FIRST = Journal.beginning(1, 5.0, "exported")


def states(journal):
    return {entry.number: entry.state for entry in journal.releases}


def with_trial(number=2, **trial):
    return FIRST.with_candidate(number, 6.0, "made here").switched(number, 7.0, "switched to", Trial(**trial))


def test_a_home_begins_with_one_good_release():
    assert (FIRST.active, FIRST.highest, states(FIRST)) == (1, 1, {1: "good"})


def test_a_switch_puts_the_candidate_on_trial_and_remembers_what_ran():
    journal = with_trial(frames=0)
    assert (journal.active, journal.highest, states(journal)) == (2, 2, {1: "good", 2: "trial"})
    assert journal.current.previous == 1


def test_a_rollback_goes_back_to_what_ran_and_keeps_the_highest_number():
    journal = with_trial().rolled_back(8.0, "it was worse", 1)
    assert (journal.active, journal.highest, states(journal)) == (1, 2, {1: "good", 2: "rolled-back"})
    assert (journal.entry(2).reason, journal.trial) == ("it was worse", None)


def test_a_good_release_is_in_trial_no_more():
    journal = with_trial().good(9.0, "answered 300 frames")
    assert (states(journal), journal.trial) == ({1: "good", 2: "good"}, None)


def test_a_good_release_can_be_rolled_back_too():
    assert with_trial().good(9.0, "").rolled_back(10.0, "asked for", 1).active == 1


def test_there_is_nothing_before_the_first_release():
    with pytest.raises(ReleaseError, match="no whole release before 1"):
        FIRST.rolled_back(8.0, "", None)


def test_after_a_rollback_the_next_release_is_rolled_back_to_what_ran_then():
    journal = with_trial().rolled_back(8.0, "", 1).with_candidate(3, 9.0, "").switched(3, 10.0, "", Trial())
    assert journal.rolled_back(11.0, "", 1).active == 1


def test_a_release_that_another_one_follows_while_in_trial_has_not_proved_itself():
    journal = with_trial().with_candidate(3, 9.0, "").switched(3, 10.0, "", Trial())
    assert states(journal) == {1: "good", 2: "rolled-back", 3: "trial"}
    assert journal.before_active() == [1]
    assert journal.rolled_back(11.0, "", 1).active == 1


def test_only_what_ran_before_can_be_gone_back_to():
    with pytest.raises(ReleaseError, match="no whole release before 2"):
        with_trial().with_candidate(3, 9.0, "").rolled_back(10.0, "", 3)


def test_an_unknown_release_is_named_with_those_there_are():
    with pytest.raises(ReleaseError, match=r"no release 7 .* one of 1, 2"):
        with_trial().entry(7)


def test_kept_are_the_active_one_the_one_before_open_candidates_and_a_few_more():
    journal = FIRST
    for number in range(2, 9):
        journal = journal.with_candidate(number, 6.0, "").switched(number, 7.0, "", Trial()).good(7.5, "")
    journal = journal.with_candidate(9, 8.0, "")
    assert journal.retired(keep=2) == {1, 2, 3, 4}
    assert journal.retired(keep=0) == {1, 2, 3, 4, 5, 6}
    assert journal.retired(keep=50) == set()


def test_a_candidate_that_can_no_longer_be_installed_is_kept_no_longer_than_others():
    journal = FIRST.with_candidate(2, 6.0, "").with_candidate(3, 6.0, "").switched(3, 7.0, "", Trial())
    assert journal.retired(keep=0) == {2}


def test_a_journal_reads_as_it_was_written(tmp_path):
    (tmp_path / "releases").mkdir()
    journal = with_trial(seconds=12.5, frames=7, starts=1, accuracy=0.75, class_ids=(1, 4), frame_ms=9.5)
    journals.write(tmp_path, journal)
    assert journals.read(tmp_path) == journal


def test_a_home_without_a_journal_has_none(tmp_path):
    assert journals.read(tmp_path) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"active": 1, "highest": 1, "releases": []}',
        b'{"active": 2, "highest": 1, "releases": [{"number": 2, "state": "good", "since": 0, "reason": ""}]}',
        b'{"active": 1, "highest": 1, "releases": [{"number": 1, "state": "trial", "since": 0, "reason": ""}]}',
        b'{"active": 1, "highest": 1, "releases": [{"number": 1, "state": "fine", "since": 0, "reason": ""}]}',
        b" " * 1_100_000,
    ],
    ids=lambda data: repr(data[-30:]),
)
def test_a_damaged_journal_is_refused_with_what_to_do(tmp_path, data):
    (tmp_path / "releases").mkdir()
    (tmp_path / JOURNAL_FILE).write_bytes(data)
    with pytest.raises(ReleaseError, match=r"journal\.json damaged .*remove the file"):
        journals.read(tmp_path)


def test_a_long_reason_is_cut():
    assert len(FIRST.with_candidate(2, 6.0, "x" * 10_000).entry(2).reason) == 500
