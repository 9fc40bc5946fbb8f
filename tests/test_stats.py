"""Class statistics against the batch formula in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecl.errors import BackboneMismatch, FrameUnusable, NotLearned
from edgecl.memory.stats import ClassStats
from edgecl.memory.view import MemoryView

TAIL = "a" * 64


@st.composite
def batches(draw, smallest=0):
    """(vectors float32 (n, D), class ids int64 (n,)) with gaps between the ids."""
    n, dimension = draw(st.integers(smallest, 24)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = np.array(draw(st.lists(st.sampled_from([2, 3, 7, 40]), min_size=n, max_size=n)), np.int64)
    return rng.normal(size=(n, dimension)).astype(np.float32), ids


def learned(vectors, ids):
    stats = ClassStats.empty(vectors.shape[1], TAIL)
    stats.learn(vectors, ids)
    return stats


def assert_same(found, expected):
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    assert found.count.tolist() == expected.count.tolist()
    np.testing.assert_allclose(found.sum, expected.sum, atol=1e-12)
    np.testing.assert_allclose(found.outer, expected.outer, atol=1e-12)


def covariance_by_the_book(vectors, ids):
    z = vectors.astype(np.float64)
    centred = np.concatenate([z[ids == k] - z[ids == k].mean(0) for k in np.unique(ids)])
    return centred.T @ centred / max(len(z) - len(np.unique(ids)), 1)


@given(batches(smallest=1))
def test_means_are_those_of_each_class(batch):
    vectors, ids = batch
    stats = learned(vectors, ids)
    expected = [vectors[ids == k].astype(np.float64).mean(0) for k in np.unique(ids)]
    np.testing.assert_allclose(stats.means(), expected, atol=1e-12)


@given(batches(smallest=1))
def test_the_covariance_is_the_pooled_one_of_the_centred_examples(batch):
    vectors, ids = batch
    np.testing.assert_allclose(
        learned(vectors, ids).within_covariance(), covariance_by_the_book(vectors, ids), atol=1e-12
    )


@given(batches(), st.data())
def test_reverting_what_was_learned_restores_the_statistics(batch, data):
    vectors, ids = batch
    split = data.draw(st.integers(0, len(ids)))
    stats = learned(vectors, ids)
    stats.revert(vectors[split:], ids[split:])
    assert_same(stats, learned(vectors[:split], ids[:split]))


@given(batches(), st.data())
def test_two_halves_add_up_to_the_whole(batch, data):
    vectors, ids = batch
    split = data.draw(st.integers(0, len(ids)))
    stats = learned(vectors[:split], ids[:split])
    stats += learned(vectors[split:], ids[split:])
    assert_same(stats, learned(vectors, ids))


@given(batches(), st.randoms())
def test_the_order_of_examples_does_not_matter(batch, random):
    vectors, ids = batch
    order = list(range(len(ids)))
    random.shuffle(order)
    one_by_one = ClassStats.empty(vectors.shape[1], TAIL)
    for i in order:
        one_by_one.learn(vectors[[i]], ids[[i]])
    assert_same(one_by_one, learned(vectors, ids))


@given(batches(smallest=1))
def test_reverting_everything_leaves_nothing_at_all(batch):
    vectors, ids = batch
    stats = learned(vectors, ids)
    stats.revert(vectors, ids)
    assert len(stats.class_ids) == 0
    assert not stats.outer.any()


@settings(max_examples=20)
@given(st.integers(1000, 2500))
def test_many_examples_are_taken_in_parts(n):
    rng = np.random.default_rng(n)
    vectors, ids = rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, 4, n)
    np.testing.assert_allclose(
        learned(vectors, ids).within_covariance(), covariance_by_the_book(vectors, ids), atol=1e-10
    )


def test_few_shot_covariance_is_exact_where_a_running_estimate_is_not():
    rng = np.random.default_rng(0)
    vectors, ids = rng.normal(size=(50, 16)).astype(np.float32), np.repeat(np.arange(5), 10)
    exact = covariance_by_the_book(vectors, ids)
    error = np.linalg.norm(learned(vectors, ids).within_covariance() - exact) / np.linalg.norm(exact)
    assert error < 1e-14


def test_reverting_more_than_was_learned_is_refused_and_changes_nothing():
    vectors = np.ones((2, 3), np.float32)
    stats = learned(vectors, np.array([1, 2]))
    with pytest.raises(NotLearned, match="found 2 examples of class 1"):
        stats.revert(vectors, np.array([1, 1]))
    assert_same(stats, learned(vectors, np.array([1, 2])))


def test_reverting_an_unknown_class_is_refused():
    stats = learned(np.ones((1, 3), np.float32), np.array([1]))
    with pytest.raises(NotLearned, match="class 9"):
        stats.revert(np.ones((1, 3), np.float32), np.array([9]))


def test_statistics_of_another_tail_are_refused():
    stats = ClassStats.empty(3, TAIL)
    with pytest.raises(BackboneMismatch, match="cccccccccccc"):
        stats += ClassStats.empty(3, "c" * 64)


@pytest.mark.parametrize("shape", [(2, 4), (2,), (3, 3)])
def test_vectors_of_another_shape_are_refused(shape):
    with pytest.raises(BackboneMismatch, match="expected"):
        ClassStats.empty(3, TAIL).learn(np.ones(shape, np.float32), np.array([1, 1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_and_nothing_is_learned(bad):
    stats = ClassStats.empty(2, TAIL)
    with pytest.raises(FrameUnusable):
        stats.learn(np.array([[1, 2], [3, bad]], np.float32), np.array([1, 1]))
    assert stats.total == 0


def test_statistics_that_do_not_fit_together_are_refused():
    with pytest.raises(BackboneMismatch):
        ClassStats(np.array([1]), np.array([1, 2]), np.zeros((1, 2)), np.zeros((2, 2)), TAIL)


def test_a_copy_lives_its_own_life():
    stats = learned(np.ones((1, 2), np.float32), np.array([1]))
    stats.copy().learn(np.ones((1, 2), np.float32), np.array([1]))
    assert stats.total == 1


def view(n=6):
    rng = np.random.default_rng(0)
    ids = np.arange(n) % 2 + 1
    return MemoryView(
        rng.normal(size=(n, 3)).astype(np.float32), ids, np.arange(n) + 10, ids, {1: "cup", 2: "mug"}, TAIL, 5
    )


def test_a_view_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        view().vectors[0, 0] = 1.0


def test_the_statistics_of_a_view_are_those_of_its_rows():
    assert_same(view().stats, learned(view().vectors, view().class_ids))


def test_statistics_handed_in_are_used():
    stats = view().stats
    whole = view()
    ready = MemoryView(
        whole.vectors, whole.class_ids, whole.example_ids, whole.lesson_ids, whole.names, TAIL, 5, known_stats=stats
    )
    assert ready.stats is stats


def test_what_is_selected_and_what_is_left_out_make_the_whole():
    whole = view()
    mask = whole.class_ids == 1
    assert sorted([*whole.select(mask).example_ids, *whole.without(mask).example_ids]) == whole.example_ids.tolist()
    assert whole.select(mask).stats.class_ids.tolist() == [1]


def test_a_view_whose_columns_differ_in_length_is_refused():
    with pytest.raises(BackboneMismatch, match="expected"):
        MemoryView(np.zeros((2, 3), np.float32), np.arange(3), np.arange(2), np.arange(2), {}, TAIL, 1)
