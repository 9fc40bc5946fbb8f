"""When the answer is "unknown", and how sure the others are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.decomposition import PCA
from views import SPREAD, clusters, view_of

from edgecl.heads import fit_of
from edgecl.recognition import Recogniser
from edgecl.types import LinearHead
from edgecl.unknown import Rejector, _temperature, calibrate, nearest_distance, unlike_halves


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser.fit(view_of(*clusters(8, 20, dimension=64)), "softmax")


def unknown(recogniser, vectors):
    return recogniser.rejector.scores(vectors, recogniser.head.logits(vectors)) > 0.5


def test_fresh_views_of_what_was_taught_are_known(recogniser):
    fresh, _ = clusters(8, 100, dimension=64, spread=0.15)
    assert unknown(recogniser, fresh).mean() < 0.1


def test_things_of_another_kind_are_unknown(recogniser):
    strange, _ = clusters(50, 4, dimension=64, seed=9)
    assert unknown(recogniser, strange).mean() > 0.9


def test_the_score_never_falls_with_distance():
    rejector = Rejector(np.zeros((1, 2), np.float32), 0.0, 1.0, 1.0, 1.0, 1.0)
    far = np.stack([np.linspace(0, 5, 50), np.zeros(50)], axis=1).astype(np.float32)
    scores = rejector.scores(far, np.zeros((50, 1), np.float32))
    assert (np.diff(scores) >= 0).all()
    assert scores[0] < 0.5 < scores[-1]


def test_the_score_falls_with_the_largest_logit():
    rejector = Rejector(np.zeros((1, 2), np.float32), 0.0, 1.0, 1.0, 1.0, 1.0)
    logits = np.linspace(-5, 5, 50, dtype=np.float32)[:, None]
    assert (np.diff(rejector.scores(np.zeros((50, 2), np.float32), logits)) < 0).all()


def test_one_example_of_one_class_already_tells_it_from_anything_else():
    vectors, class_ids = clusters(1, 1, dimension=64)
    recogniser = Recogniser.fit(view_of(vectors, class_ids), "softmax")
    again, _ = clusters(1, 50, dimension=64, spread=0.5 * SPREAD)
    strange, _ = clusters(50, 1, dimension=64, seed=9)
    assert unknown(recogniser, again).mean() < 0.1
    assert unknown(recogniser, strange).mean() > 0.9


def test_distances_are_those_to_the_nearest_mean():
    vectors, prototypes = clusters(3, 5)[0], clusters(4, 1, seed=2)[0]
    expected = [min(((v.astype(float) - p) ** 2).sum() for p in prototypes) for v in vectors]
    np.testing.assert_allclose(nearest_distance(vectors, prototypes), expected, atol=1e-5)


def test_halves_part_a_class_across_its_first_principal_component():
    vectors, class_ids = clusters(3, 11)
    first, second = unlike_halves(view_of(vectors, class_ids))
    for class_id in (10, 20, 30):
        mine = class_ids == class_id
        along = PCA(1).fit_transform(vectors[mine].astype(float))[:, 0]
        low, high = along[first[mine]], along[second[mine]]
        assert max(low) < min(high) or max(high) < min(low)


def test_every_example_is_in_one_half_but_those_that_stand_alone():
    vectors, class_ids = clusters(3, 4)
    kept = np.concatenate([np.arange(8), [8]])
    first, second = unlike_halves(view_of(vectors[kept], class_ids[kept]))
    assert (first ^ second).tolist() == [True] * 8 + [False]


def test_the_temperature_is_the_most_likely_one():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (4000, 5))
    chances = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum(axis=1, keepdims=True)
    rows = np.array([rng.choice(5, p=chance) for chance in chances])

    def loss(t):
        scaled = logits / t
        return -(scaled[np.arange(len(rows)), rows] - np.log(np.exp(scaled).sum(axis=1))).mean()

    oracle = minimize_scalar(loss, bounds=(0.5, 10), method="bounded").x
    assert _temperature(logits.astype(np.float32), rows) == pytest.approx(oracle, rel=0.01)


def test_calibration_changes_no_answer(recogniser):
    view = view_of(*clusters(8, 20, dimension=64))
    raw = fit_of("softmax")(view)
    calibrated, _, _ = calibrate(view, raw, fit_of("softmax"))
    assert np.array_equal(raw.logits(view.vectors), calibrated.logits(view.vectors))


def test_left_out_accuracy_is_that_of_learning_from_the_other_half():
    vectors, class_ids = clusters(4, 10, spread=1.0)
    view = view_of(vectors, class_ids)
    _, _, held_out = calibrate(view, fit_of("ncm")(view), fit_of("ncm"))
    right = np.zeros(len(view), bool)
    for left_out in unlike_halves(view):
        means = np.stack([vectors[(class_ids == c) & ~left_out].mean(axis=0) for c in (10, 20, 30, 40)])
        answers = np.array([((v - means) ** 2).sum(axis=1).argmin() for v in vectors])
        right |= left_out & (10 * (answers + 1) == class_ids)
    assert [held_out.of(c) for c in (10, 20, 30, 40)] == [right[class_ids == c].mean() for c in (10, 20, 30, 40)]


def test_a_class_with_one_example_has_no_left_out_accuracy():
    vectors, class_ids = clusters(2, 3)
    view = view_of(vectors[:4], class_ids[:4])
    _, _, held_out = calibrate(view, fit_of("ncm")(view), fit_of("ncm"))
    assert held_out.of(20) is None
    assert held_out.of(10) is not None


def test_confidence_on_unlike_views_is_about_as_high_as_they_are_often_right():
    vectors, class_ids = clusters(6, 40, dimension=32, spread=1.2)
    view = view_of(vectors, class_ids)
    head, _, _ = calibrate(view, fit_of("softmax")(view), fit_of("softmax"))
    fresh, fresh_ids = clusters(6, 400, dimension=32, spread=1.2)
    chance = head.probabilities(fresh)
    right = head.class_ids[chance.argmax(axis=1)] == fresh_ids
    assert chance.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.12)


def test_a_head_without_classes_has_no_probabilities():
    none = LinearHead(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), "t", 0, "ncm")
    assert none.probabilities(np.zeros((2, 3), np.float32)).shape == (2, 0)
