"""Things that nobody taught: grouped by likeness, asked about once they came back."""

from __future__ import annotations

import numpy as np
import pytest

from edgecl.daemon.newcomers import APART_S, KEPT_GROUPS, KEPT_VIEWS, VIEWS, Newcomers
from edgecl.daemon.numbers import Numbers
from edgecl.errors import ItemUnknown
from edgecl.lesson import Candidate
from edgecl.types import Latent

LATENT = Latent(np.zeros((1, 1, 1), np.int8), 1.0, 0)


def view(thing: int, number: int) -> Candidate:
    """One of many views of a thing: alike among themselves (cosine near 0.9), unlike those of others."""
    vector = np.zeros(64, np.float32)
    vector[thing] = 1.0
    vector[32:] = np.random.default_rng(1000 * thing + number).normal(0, 0.06, 32)
    return Candidate(LATENT, vector / np.linalg.norm(vector), bytes([thing]), float(number), "camera1")


class Street:
    """Things come by, one a second."""

    def __init__(self):
        self.newcomers, self.now, self.number = Newcomers(Numbers()), 100.0, 0

    def passes(self, thing, times=VIEWS):
        """A thing is there for so many seconds; gives whether a person came to be asked."""
        asked = False
        for _ in range(times):
            self.now, self.number = self.now + 1.0, self.number + 1
            asked |= self.newcomers.see(view(thing, self.number), self.now)
        self.now += APART_S + 1.0
        return asked


def test_what_comes_back_is_asked_about_once():
    street = Street()
    assert [street.passes(1), street.passes(1), street.passes(1)] == [False, True, False]
    (group,) = street.newcomers.asking()
    assert (group.visits, len(group.candidates)) == (3, 3 * VIEWS)


def test_what_was_there_once_is_not_asked_about_however_long():
    street = Street()
    street.passes(1, times=50)
    assert street.newcomers.asking() == []


def test_different_things_are_asked_about_by_themselves():
    street = Street()
    for _ in range(2):
        for thing in (1, 2, 3):
            street.passes(thing)
    assert [group.picture for group in street.newcomers.asking()] == [b"\x01", b"\x02", b"\x03"]


def test_the_same_view_again_shows_nothing_new():
    newcomers = Newcomers(Numbers())
    for second in range(100):
        newcomers.see(view(1, 7), 10.0 * second)
    assert newcomers.asking() == []


def test_a_group_stays_small():
    street = Street()
    for _ in range(20):
        street.passes(1)
    (group,) = street.newcomers.asking()
    assert len(group.candidates) == KEPT_VIEWS


def test_a_crowd_does_not_push_out_what_is_asked_about():
    street = Street()
    street.passes(0)
    street.passes(0)
    for thing in range(1, 2 * KEPT_GROUPS):
        street.passes(thing, times=1)
    assert [group.number for group in street.newcomers.asking()] == [1]


def test_what_was_dismissed_or_forgotten_is_gone():
    street = Street()
    for _ in range(2):
        street.passes(1)
        street.passes(2)
    street.newcomers.drop(1)
    with pytest.raises(ItemUnknown):
        street.newcomers.find(1)
    street.newcomers.forget()
    assert street.newcomers.asking() == []


def test_what_is_known_by_now_is_asked_about_no_more():
    street = Street()
    for _ in range(2):
        for thing in (1, 2):
            street.passes(thing)
    assert street.newcomers.keep_unknown(lambda vector: vector[2] > 0.5)
    assert [group.picture for group in street.newcomers.asking()] == [b"\x01"]
    assert not street.newcomers.keep_unknown(lambda vector: vector[2] > 0.5)


def test_what_came_once_and_is_known_by_now_is_not_asked_about_when_it_comes_again():
    street = Street()
    street.passes(1)
    assert not street.newcomers.keep_unknown(lambda vector: vector[1] > 0.5)  # nobody was asked
    assert not street.passes(1, times=1)


def test_a_few_views_that_look_known_do_not_make_a_thing_known():
    street = Street()
    for _ in range(2):
        street.passes(1)
    asked = []

    def known(vector):
        asked.append(vector)
        return len(asked) <= 2

    assert not street.newcomers.keep_unknown(known)
    assert len(asked) >= VIEWS
