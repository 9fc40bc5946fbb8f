"""Whitened coordinates, against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import cholesky, solve_triangular
from views import SPREAD, clusters, view_of

from edgecl.whitening import PRIOR_EXAMPLES, Whitening, shrunk_covariance

SIZES = pytest.mark.parametrize("dimension", [3, 128, 129, 300])


def made(dimension):
    view = view_of(*clusters(4, 60, dimension=dimension))
    covariance = shrunk_covariance(view.stats, SPREAD, 0.3)
    mean = view.stats.means().mean(axis=0)
    return view, covariance.astype(np.float64), Whitening.of(covariance.copy(), mean), mean


@SIZES
def test_the_factor_is_that_of_cholesky(dimension):
    _, covariance, space, _ = made(dimension)
    np.testing.assert_allclose(space.factor, cholesky(covariance, lower=True), atol=1e-5)


@SIZES
def test_coordinates_are_those_of_a_triangular_solve(dimension):
    view, covariance, space, mean = made(dimension)
    expected = solve_triangular(cholesky(covariance, lower=True), (view.vectors - mean).T, lower=True).T
    np.testing.assert_allclose(space.apply(view.vectors), expected, atol=2e-3)


@SIZES
def test_a_folded_function_gives_on_embeddings_what_it_gave_on_coordinates(dimension):
    view, _, space, _ = made(dimension)
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(5, dimension)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    folded, offset = space.fold(weight, bias)
    expected = space.apply(view.vectors) @ weight.T + bias
    np.testing.assert_allclose(view.vectors @ folded.T + offset, expected, atol=5e-3)


def test_with_many_examples_the_covariance_is_the_shrunk_pooled_one():
    vectors, class_ids = clusters(3, 400, dimension=8)
    view = view_of(vectors, class_ids)
    residuals = np.concatenate([vectors[class_ids == c] - vectors[class_ids == c].mean(axis=0) for c in (10, 20, 30)])
    pooled = residuals.T.astype(float) @ residuals / (len(vectors) - 3)
    expected = 0.7 * pooled + 0.3 * np.trace(pooled) / 8 * np.eye(8)
    np.testing.assert_allclose(shrunk_covariance(view.stats, SPREAD, 0.3), expected, rtol=0.05, atol=1e-4)


def test_with_one_example_a_class_the_covariance_is_the_prior():
    view = view_of(*clusters(5, 1, dimension=8))
    np.testing.assert_allclose(shrunk_covariance(view.stats, 0.4, 0.3), 0.4 / 8 * np.eye(8), atol=1e-6)


def test_the_prior_weighs_as_much_as_its_number_of_examples():
    vectors, class_ids = clusters(2, 6, dimension=8)
    stats = view_of(vectors, class_ids).stats
    freedom = len(vectors) - 2
    pooled = stats.within_covariance() * freedom / (freedom + PRIOR_EXAMPLES)
    expected = pooled + np.eye(8) * SPREAD / 8 * PRIOR_EXAMPLES / (freedom + PRIOR_EXAMPLES)
    np.testing.assert_allclose(shrunk_covariance(stats, SPREAD, 0.0), expected, atol=1e-5)
