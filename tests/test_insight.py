"""What is mixed up with what, what looks mislabelled, what would help, and why something is answered."""

from __future__ import annotations

import numpy as np
import pytest

from edgecl.heads import fit_of
from edgecl.insight import Insight, reason
from edgecl.memory.view import MemoryView
from edgecl.recognition import Recogniser

D = 24


def views(rng, centre, n, spread):
    """float32 (n, D) of length 1 about a direction."""
    found = np.zeros((n, D), np.float32)
    found[:, centre] = 1.0
    found += rng.normal(0, spread, found.shape).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def memory(centres, n=12, spread=0.12, lessons=2, seed=0):
    """A memory of one class for each centre."""
    rng = np.random.default_rng(seed)
    vectors = np.concatenate([views(rng, centre, n, spread) for centre in centres])
    ids = np.repeat(np.arange(1, len(centres) + 1), n)
    names = {k: f"class {k}" for k in range(1, len(centres) + 1)}
    numbers = np.arange(1, len(vectors) + 1)
    return MemoryView(vectors, ids, numbers, 1 + numbers % lessons, names, "0" * 64, 1)


def looked_at(view):
    fit = fit_of("softmax")
    return Insight.of(view, Recogniser.fit(view, "softmax"), fit)


def with_label(view, row, class_id):
    """The same, with one example taught as another class."""
    ids = view.class_ids.copy()
    ids[row] = class_id
    return MemoryView(view.vectors, ids, view.example_ids, view.lesson_ids, view.names, view.tail, 1)


def test_classes_that_lie_apart_are_not_mixed_up():
    insight = looked_at(memory([0, 1, 2]))
    assert insight.confusion.tolist() == [[12, 0, 0], [0, 12, 0], [0, 0, 12]]
    assert insight.suspects == ()
    assert [one.accuracy for one in insight.classes] == [1.0, 1.0, 1.0]


def test_an_example_that_was_taught_as_another_class_is_found():
    view = with_label(memory([0, 1, 2]), row=3, class_id=2)
    suspect = looked_at(view).suspects[0]
    assert (suspect.example, suspect.label, suspect.answered) == (4, "class 2", "class 1")
    assert suspect.probability >= 0.6


def test_every_example_is_asked_about_once():
    assert looked_at(memory([0, 1, 2, 3])).confusion.sum() == 48


def test_a_class_with_one_example_is_not_asked_about():
    whole = memory([0, 1])
    view = whole.select((whole.class_ids == 1) | (whole.example_ids == 13))
    insight = looked_at(view)
    assert insight.confusion.sum() == 12
    assert insight.classes[1].accuracy is None


@pytest.mark.parametrize(
    ("view", "advice"),
    [
        (memory([0, 1], n=4), "only 4 views"),
        (memory([0, 0], seed=3), "mixed up with class"),
        (memory([0, 1], spread=0.01), "nearly alike"),
        (memory([0, 1], lessons=1), "taught in one go"),
    ],
)
def test_the_advice_is_what_helps_most(view, advice):
    assert advice in looked_at(view).classes[0].advice


def test_what_is_well_known_needs_no_advice():
    assert looked_at(memory([0, 1, 2])).classes[0].advice is None


@pytest.mark.parametrize("centres", [[0], [0, 1], [0, 1, 2, 3]])
def test_the_map_shows_every_example_within_its_frame(centres):
    view = memory(centres)
    points = looked_at(view).points
    assert [one.example for one in points] == view.example_ids.tolist()
    xs, ys = np.array([(one.x, one.y) for one in points]).T
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (0, 1, 0, 1)


def test_the_map_keeps_classes_together():
    view = memory([0, 1, 2])
    places = np.array([(one.x, one.y) for one in looked_at(view).points])
    means = np.stack([places[view.class_ids == k].mean(axis=0) for k in (1, 2, 3)])
    own = np.linalg.norm(places - means[view.class_ids - 1], axis=1)
    others = np.array([[np.linalg.norm(place - mean) for mean in means] for place in places])
    assert (own <= others.min(axis=1) + 1e-9).mean() > 0.95


def test_the_map_is_the_same_each_time():
    view = memory([0, 1, 2])
    assert looked_at(view).points == looked_at(view).points


def test_of_an_empty_memory_there_is_nothing_to_say():
    nothing = memory([0]).select(np.zeros(12, bool))
    insight = Insight.of(nothing, None, fit_of("softmax"))
    assert (insight.classes, insight.suspects, insight.points, insight.confusion.size) == ((), (), (), 0)


def test_a_reason_names_the_nearest_examples_and_the_runner_up():
    view = memory([0, 1, 2])
    recogniser = Recogniser.fit(view, "softmax")
    asked = views(np.random.default_rng(9), 1, 1, 0.05)[0]
    why = reason(view, recogniser, asked)
    cosines = view.vectors @ asked
    assert (why.nearest[0][0], why.nearest[0][2]) == (int(view.example_ids[cosines.argmax()]), float(cosines.max()))
    assert (why.nearest[0][1], why.runner_up in ("class 1", "class 3")) == ("class 2", True)
    assert why.margin > 0


def test_a_reason_with_one_class_has_no_runner_up():
    view = memory([0])
    why = reason(view, Recogniser.fit(view, "softmax"), view.vectors[0])
    assert (why.runner_up, why.margin) == (None, None)
