"""What the memory keeps."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from views import clusters, view_of

from edgecl.memory.replay import distinct, representatives, select

CAPS = {"per_class": 6, "total": 1000, "redundant_cosine": 0.99}


def coverage(vectors, kept):
    return (vectors @ vectors[list(kept)].T).max(axis=1).sum()


def test_representatives_cover_nearly_as_well_as_the_best_set_of_their_size():
    vectors, _ = clusters(3, 4, spread=0.6)
    best = max(coverage(vectors, kept) for kept in combinations(range(12), 3))
    assert coverage(vectors, representatives(vectors, 3)) >= (1 - 1 / np.e) * best


def test_representatives_of_three_groups_come_from_all_three():
    vectors, groups = clusters(3, 10, spread=0.02)
    assert set(groups[representatives(vectors, 3)]) == {10, 20, 30}


def test_a_near_duplicate_is_not_distinct():
    vectors, _ = clusters(2, 1)
    assert distinct(np.repeat(vectors, 3, axis=0), vectors[:0], 0.99).tolist() == [0, 3]


def test_what_is_known_already_is_not_distinct():
    vectors, _ = clusters(2, 1)
    assert distinct(vectors, vectors[:1], 0.99).tolist() == [1]


def test_the_memory_keeps_no_more_of_a_class_than_its_cap():
    vectors, _ = clusters(1, 20, spread=0.8)
    assert len(select(view_of(vectors[:0], np.zeros(0)), None, vectors, **CAPS).kept) == 6


def test_old_and_new_examples_compete_on_equal_terms():
    vectors, _ = clusters(2, 6, spread=0.05)  # the old ones all alike, the new ones of another kind
    view = view_of(vectors[:6], np.full(6, 10))
    chosen = select(view, 10, vectors[6:], **CAPS | {"per_class": 2, "redundant_cosine": 1.0})
    assert (len(chosen.kept), len(chosen.displaced)) == (1, 5)


def test_a_full_memory_makes_room_from_its_largest_class():
    vectors, class_ids = clusters(3, 10, spread=0.8)
    few = (class_ids == 10) | ((class_ids == 20) & (np.arange(30) < 12))
    view = view_of(vectors[few], class_ids[few])
    chosen = select(view, None, vectors[class_ids == 30][:3], **CAPS | {"total": 10})
    assert len(chosen.kept) == 3
    assert {int(view.class_ids[view.example_ids == i][0]) for i in chosen.displaced} == {10}


@settings(max_examples=60, deadline=None)
@given(
    old=st.integers(0, 8),
    new=st.integers(1, 12),
    per_class=st.integers(1, 6),
    total=st.integers(4, 12),
    seed=st.integers(0, 9),
)
def test_both_caps_hold_after_any_lesson(old, new, per_class, total, seed):
    vectors, _ = clusters(1, old + new, spread=0.8, seed=seed)
    others, other_ids = clusters(3, 3, spread=0.8, seed=seed + 100)
    view = view_of(np.concatenate([vectors[:old], others]), np.concatenate([np.full(old, 5), other_ids]))
    chosen = select(view, 5 if old else None, vectors[old:], per_class=per_class, total=total, redundant_cosine=0.999)
    left = len(view) - len(chosen.displaced) + len(chosen.kept)
    mine = old - sum(1 for i in chosen.displaced if i <= old) + len(chosen.kept)
    assert mine <= per_class
    assert left <= max(total, 4)
    assert len(set(chosen.displaced)) == len(chosen.displaced)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_no_example_is_chosen_twice(count):
    vectors = np.repeat(clusters(1, 1)[0], 6, axis=0)
    assert len(set(representatives(vectors, count).tolist())) == count
