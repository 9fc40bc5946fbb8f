"""The answer for a picture, from head to words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from views import TAIL, clusters, view_of

from edgecl.errors import BackboneMismatch
from edgecl.recognition import Recogniser, Scores
from edgecl.smoothing import Smoother
from edgecl.types import Embedding

NAMES = {10: "cup", 20: "mug", 30: "plate", 40: "bowl", 50: "fork", 60: "spoon"}


def scores(*probabilities, unknown=0.1, ids=(10, 20)):
    return Scores(np.array(ids), np.array(probabilities, np.float32), unknown)


def test_a_known_picture_gets_its_label():
    prediction = scores(0.2, 0.8).prediction(NAMES, "usb:0", 5.0, 0.1)
    assert (prediction.label, prediction.camera, prediction.taken_at, prediction.age) == ("mug", "usb:0", 5.0, 0.1)
    assert prediction.probability == pytest.approx(0.8)


def test_an_unknown_picture_gets_no_label_but_keeps_its_guesses():
    prediction = scores(0.2, 0.8, unknown=0.7).prediction(NAMES)
    assert prediction.label is None
    assert [label for label, _ in prediction.top] == ["mug", "cup"]


def test_at_most_five_guesses_are_given():
    six = np.array([10, 20, 30, 40, 50, 60])
    assert len(Scores(six, np.full(6, 1 / 6, np.float32), 0.0).prediction(NAMES).top) == 5


def test_a_stored_recogniser_answers_bit_for_bit_as_before():
    vectors, class_ids = clusters(4, 8)
    recogniser = Recogniser.fit(view_of(vectors, class_ids), "softmax")
    arrays, numbers = recogniser.to_arrays()
    again = Recogniser.from_arrays(arrays, numbers, tail=TAIL, revision=1, name="softmax")
    for vector in clusters(4, 5, seed=3)[0]:
        before, after = (r.scores(Embedding(vector, TAIL)) for r in (recogniser, again))
        assert before.unknown == after.unknown
        assert np.array_equal(before.probabilities, after.probabilities)


def test_an_embedding_of_another_tail_is_refused():
    recogniser = Recogniser.fit(view_of(*clusters(2, 4)), "ncm")
    with pytest.raises(BackboneMismatch, match="fitted again"):
        recogniser.scores(Embedding(clusters(1, 1)[0][0], "f" * 64))


def test_a_class_taught_a_moment_ago_is_recognised_before_the_full_fit():
    vectors, class_ids = clusters(6, 15)
    view = view_of(vectors, class_ids)
    before = Recogniser.fit(view.without(class_ids == 30), "softmax")
    at_once = before.with_new_class(view, 30)
    fresh, fresh_ids = clusters(6, 60, spread=0.1)
    answers = at_once.head.class_ids[at_once.head.logits(fresh).argmax(axis=1)]
    assert (answers[fresh_ids == 30] == 30).mean() > 0.95
    assert (answers[fresh_ids != 30] == fresh_ids[fresh_ids != 30]).mean() > 0.95


def test_the_row_of_a_new_class_leaves_the_others_as_they_are():
    vectors, class_ids = clusters(4, 10)
    view = view_of(vectors, class_ids)
    before = Recogniser.fit(view.without(class_ids == 20), "softmax")
    after = before.with_new_class(view, 20)
    kept = after.head.class_ids != 20
    assert np.array_equal(after.head.weight[kept], before.head.weight)
    assert after.head.class_ids.tolist() == [10, 20, 30, 40]


def test_smoothing_outvotes_a_single_odd_frame():
    smoother = Smoother(1.0)
    for at in (0.0, 0.1, 0.2):
        smoother.update(scores(0.9, 0.1), at)
    assert smoother.update(scores(0.1, 0.9), 0.3).prediction(NAMES).label == "cup"


def test_smoothing_follows_a_change_that_lasts():
    smoother = Smoother(0.5)
    smoother.update(scores(0.9, 0.1), 0.0)
    for step in range(1, 20):
        last = smoother.update(scores(0.1, 0.9), step * 0.1)
    assert last.prediction(NAMES).label == "mug"


def test_smoothed_probabilities_are_the_exponentially_weighted_mean():
    smoother = Smoother(2.0)
    history = [(0.9, 0.0), (0.4, 0.5), (0.2, 1.5)]
    for chance, at in history:
        last = smoother.update(scores(chance, 1 - chance), at)
    weights = np.array([np.exp(-(1.5 - at) / 2.0) for _, at in history])
    assert last.probabilities[0] == pytest.approx((weights * [c for c, _ in history]).sum() / weights.sum(), abs=1e-6)


def test_after_a_long_gap_the_past_has_no_vote():
    smoother = Smoother(0.5)
    smoother.update(scores(0.9, 0.1), 0.0)
    assert smoother.update(scores(0.3, 0.7), 60.0).probabilities.tolist() == pytest.approx([0.3, 0.7])


def test_no_smoothing_gives_every_frame_its_own_answer():
    smoother = Smoother(0.0)
    smoother.update(scores(0.9, 0.1), 0.0)
    assert smoother.update(scores(0.3, 0.7), 0.01).probabilities.tolist() == pytest.approx([0.3, 0.7])


def test_smoothing_survives_a_class_that_comes_or_goes():
    smoother = Smoother(1.0)
    smoother.update(scores(0.9, 0.1), 0.0)
    grown = smoother.update(scores(0.2, 0.2, 0.6, ids=(10, 20, 30)), 0.1)
    assert grown.probabilities.sum() == pytest.approx(1.0)
    shrunk = smoother.update(scores(1.0, ids=(30,)), 0.2)
    assert shrunk.probabilities.tolist() == pytest.approx([1.0])


def test_a_recogniser_cannot_be_changed():
    recogniser = Recogniser.fit(view_of(*clusters(2, 4)), "ncm")
    with pytest.raises(dataclasses.FrozenInstanceError):
        recogniser.head = None
