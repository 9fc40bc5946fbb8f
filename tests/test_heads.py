"""Promises that hold for every head in the folder, and the batch formula of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestCentroid
from views import SPREAD, clusters, shuffled, view_of

from edgecl import heads
from edgecl.errors import ConfigRefused
from edgecl.heads import fit_of, ncm, ridge, slda, softmax
from edgecl.recognition import Recogniser
from edgecl.whitening import Whitening, shrunk_covariance

every_head = pytest.mark.parametrize("name", heads.names())


def answers(head, vectors):
    return head.class_ids[head.logits(vectors).argmax(axis=1)]


def test_the_folder_holds_the_four_heads():
    assert set(heads.names()) >= {"softmax", "slda", "ncm", "ridge"}


def test_an_unknown_head_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigRefused, match="softmax"):
        fit_of("oracle")


@every_head
def test_what_was_learned_is_recognised(name):
    vectors, class_ids = clusters(6, 20)
    fresh, fresh_ids = clusters(6, 40, spread=0.1)
    head = fit_of(name)(view_of(vectors, class_ids))
    assert (answers(head, vectors) == class_ids).mean() > 0.95
    assert (answers(head, fresh) == fresh_ids).mean() > 0.95


@every_head
def test_one_example_of_each_class_is_enough(name):
    vectors, class_ids = clusters(5, 1)
    near, near_ids = clusters(5, 1, spread=1e-4)
    head = fit_of(name)(view_of(vectors, class_ids))
    assert answers(head, vectors).tolist() == class_ids.tolist()
    assert answers(head, near).tolist() == near_ids.tolist()


@every_head
def test_a_single_class_is_answered(name):
    vectors, class_ids = clusters(1, 4)
    head = fit_of(name)(view_of(vectors, class_ids))
    assert answers(head, vectors).tolist() == [10, 10, 10, 10]
    assert np.isfinite(head.weight).all()


@every_head
def test_nothing_learned_gives_no_class(name):
    assert Recogniser.fit(view_of(np.zeros((0, 24), np.float32), np.zeros(0, np.int64)), name) is None


@every_head
def test_the_order_of_lessons_does_not_matter(name):
    view = view_of(*clusters(6, 12))
    asked, _ = clusters(6, 30)
    expected = fit_of(name)(view)
    found = fit_of(name)(shuffled(view, 1))
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    assert_same_answers(found, expected, asked)


@every_head
def test_statistics_kept_up_from_lesson_to_lesson_give_the_head_of_learning_anew(name):
    view = view_of(*clusters(7, 12))
    asked, _ = clusters(7, 30)
    earlier = view.without(view.class_ids == 40)
    assert_same_answers(fit_of(name)(since(view, earlier)), fit_of(name)(view), asked)


@every_head
def test_undoing_a_lesson_restores_the_head(name):
    view = view_of(*clusters(5, 12))
    before = view.without(view.class_ids == 50)
    asked, _ = clusters(5, 30)
    undone = since(before, since(view, before))
    assert_same_answers(fit_of(name)(undone), fit_of(name)(before), asked)


def since(view, earlier):
    """`view` with statistics made from those of `earlier`."""
    return replace(view, known_stats=view.stats_since(replace(earlier, known_stats=earlier.stats)))


@every_head
def test_statistics_of_halves_add_up_to_the_same_head(name):
    view = view_of(*clusters(5, 12))
    half = np.arange(len(view)) % 2 == 0
    added = view.select(half).stats.copy()
    added += view.without(half).stats
    rebuilt = type(view)(
        view.vectors, view.class_ids, view.example_ids, view.lesson_ids, view.names, view.tail, 1, SPREAD, added
    )
    assert_same_answers(fit_of(name)(rebuilt), fit_of(name)(view), clusters(5, 30, seed=3)[0])


@every_head
def test_class_ids_may_have_gaps(name):
    vectors, class_ids = clusters(3, 8)
    head = fit_of(name)(view_of(vectors, np.where(class_ids == 20, 7000, class_ids)))
    assert head.class_ids.tolist() == [10, 30, 7000]


def assert_same_answers(found, expected, asked):
    """Logits equal up to 1 % of their range; their level too, for what is unknown is told by the largest of them."""
    wanted, got = (head.logits(asked) for head in (expected, found))
    assert np.abs(got - wanted).max() <= 0.01 * np.ptp(wanted)


def test_ncm_is_the_nearest_centroid():
    vectors, class_ids = clusters(6, 10)
    asked, _ = clusters(6, 40, seed=5)
    oracle = NearestCentroid().fit(vectors, class_ids)
    assert answers(ncm.fit(view_of(vectors, class_ids)), asked).tolist() == oracle.predict(asked).tolist()


def test_slda_is_linear_discriminant_analysis_with_the_shrunk_covariance():
    vectors, class_ids = clusters(6, 10)
    view = view_of(vectors, class_ids)
    asked, _ = clusters(6, 40, seed=5)
    covariance = shrunk_covariance(view.stats, SPREAD, slda.SHRINKAGE)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 6] * 6, covariance_estimator=Fixed(covariance))
    expected = oracle.fit(vectors.astype(float), class_ids).decision_function(asked.astype(float))
    found = slda.fit(view).logits(asked)
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=1e-2)


class Fixed:
    """A covariance estimator for scikit-learn that always answers the same."""

    def __init__(self, covariance):
        self.covariance = covariance

    def fit(self, _):
        self.covariance_ = self.covariance
        return self


def test_ridge_solves_the_class_balanced_least_squares_problem():
    vectors, class_ids = clusters(4, 10)
    view = view_of(vectors, class_ids)
    origin = view.stats.means().mean(axis=0)
    moment = view.stats.within_covariance() + (view.stats.means() - origin).T @ (view.stats.means() - origin) / 4
    strength = ridge.PENALTY * (np.trace(moment) + SPREAD)
    root = np.linalg.cholesky(moment).T  # rows whose second moment is the one that the head sees
    targets = np.linalg.solve(root.T, (view.stats.means() - origin).T @ (np.eye(4) - 0.25) / 4)
    oracle = Ridge(alpha=strength, fit_intercept=False).fit(root, targets)
    np.testing.assert_allclose(ridge.fit(view).weight, oracle.coef_, rtol=1e-3, atol=1e-3)


def test_softmax_is_the_penalised_logistic_regression_in_whitened_coordinates():
    vectors, class_ids = clusters(5, 12)
    view = view_of(vectors, class_ids)
    asked, _ = clusters(5, 40)
    space = Whitening.of(shrunk_covariance(view.stats, SPREAD, softmax.SHRINKAGE), view.stats.means().mean(axis=0))
    # scikit-learn minimises Σ w CE + ‖W‖²/2C; dividing by N·λ' turns it into ours
    oracle = LogisticRegression(C=1 / (softmax.PENALTY * len(view)), tol=1e-10, max_iter=10_000)
    oracle.fit(space.apply(vectors).astype(float), class_ids)
    expected = oracle.predict_proba(space.apply(asked).astype(float))
    np.testing.assert_allclose(softmax.fit(view).probabilities(asked), expected, atol=0.01)


def test_the_gradient_of_the_cross_entropy_is_that_of_finite_differences():
    vectors, class_ids = clusters(3, 5, dimension=6)
    loss = softmax.CrossEntropy(vectors, np.searchsorted([10, 20, 30], class_ids), 3)
    point = np.random.default_rng(0).normal(0, 1, 3 * 6 + 3).astype(np.float32)
    gradient = loss(point)[1]
    for index in range(len(point)):
        step = np.zeros_like(point)
        step[index] = 1e-2
        slope = (loss(point + step)[0] - loss(point - step)[0]) / 2e-2
        assert slope == pytest.approx(gradient[index], abs=2e-4)


def test_large_classes_do_not_outweigh_small_ones():
    vectors, class_ids = clusters(2, 60, spread=1.5)
    few = np.concatenate([np.flatnonzero(class_ids == 10), np.flatnonzero(class_ids == 20)[:6]])
    asked, asked_ids = clusters(2, 400, seed=0, spread=1.5)
    found = answers(softmax.fit(view_of(vectors[few], class_ids[few])), asked)
    recalls = [(found[asked_ids == c] == c).mean() for c in (10, 20)]
    assert min(recalls) > 0.7
