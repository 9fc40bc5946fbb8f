"""The decision on a candidate, and the report that names the figure."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx")

from edgecl.workstation.acceptance import Bar, Judged, decide

GRAPHS = {"int8": {"cosine_mean": 0.99, "cosine_min": 0.97}, "fp32": {"max_abs": 1e-6, "cosine_min": 1.0}}
TIMES = {"int8": 1.0, "fp32": 1.0}


def judged(right_before: list[int], right_after: list[int], views: int = 100) -> Judged:
    """Of each class so many of its views are answered rightly; the others are taken for the next class."""
    classes = len(right_before)
    expected = np.arange(classes).repeat(views)
    place = np.tile(np.arange(views), classes)
    wrong = (expected + 1) % classes
    before = np.where(place < np.array(right_before)[expected], expected, wrong)
    after = np.where(place < np.array(right_after)[expected], expected, wrong)
    return Judged([f"class {k}" for k in range(classes)], expected, before, after)


def test_what_is_better_and_whole_is_accepted_with_its_figures():
    verdict = decide(judged([70, 80, 90], [75, 85, 90]), GRAPHS, TIMES, Bar())
    assert verdict.accepted
    assert "rose by 3.3 points, from 80.0 % to 83.3 %" in verdict.reason


@pytest.mark.parametrize(("gain", "accepted"), [(-1, False), (0, False), (1, True)])
def test_a_mean_that_does_not_rise_enough_is_refused(gain, accepted):
    verdict = decide(judged([70, 80], [70 + gain, 80 + gain]), GRAPHS, TIMES, Bar())
    assert verdict.accepted == accepted
    assert accepted or f"changed by {float(gain):+.1f} points" in verdict.reason


def test_the_bar_for_the_mean_can_be_set():
    one = judged([70, 80], [72, 82])
    assert decide(one, GRAPHS, TIMES, Bar(gain_min=0.02)).accepted
    assert "expected a rise of at least 2.5" in decide(one, GRAPHS, TIMES, Bar(gain_min=0.025)).reason


@pytest.mark.parametrize("right", range(200))
def test_a_mean_that_rises_by_just_what_is_asked_for_is_accepted_whatever_the_rounding(right):
    assert decide(judged([right] * 2, [right + 1] * 2, 200), GRAPHS, TIMES, Bar(gain_min=0.005)).accepted


def test_no_prior_takes_the_measured_fall_as_it_is():
    one = replace(judged([70, 80, 90], [90, 95, 86]), unchanged_views=0)
    assert "believed to be 4.0 points" in decide(one, GRAPHS, TIMES, Bar()).reason


def test_what_is_accepted_names_the_class_that_fell_most():
    verdict = decide(judged([4, 5, 1], [2, 5, 5], views=5), GRAPHS, TIMES, Bar())
    assert verdict.accepted
    assert "most: class 'class 0' fell from 80 % to 40 % of its 5 held-out views" in verdict.reason


def test_a_class_that_fell_is_named():
    verdict = decide(judged([70, 80, 90, 60], [90, 95, 60, 90]), GRAPHS, TIMES, Bar())
    assert not verdict.accepted
    assert "class 'class 2' fell from 90 % to 60 % of its 100 held-out views" in verdict.reason
    assert "expected at most 3" in verdict.reason


@pytest.mark.parametrize(
    ("views", "lost", "accepted"),
    [
        (5, 2, True),
        (5, 3, False),
        (20, 2, True),
        (20, 3, True),
        (20, 4, False),
        (100, 5, True),
        (100, 6, False),
        (1000, 40, False),
    ],
)
def test_the_fewer_views_a_class_has_the_more_of_them_have_to_be_lost_to_refuse(views, lost, accepted):
    rising = [views // 2] * 9, [views] * 9
    one = judged([lost, *rising[0]], [0, *rising[1]], views)
    assert decide(one, GRAPHS, TIMES, Bar()).accepted == accepted


def test_what_others_gained_does_not_pay_for_a_class_that_fell():
    falls = [judged([9, 1, 1], [0, rest, rest], views=10).falls()[0] for rest in (1, 10)]
    assert falls[0] == falls[1]


def test_a_fall_is_weighed_by_the_number_of_views():
    one = judged([5, 5, 5, 5], [3, 5, 5, 6], views=10)
    assert one.falls() == pytest.approx(np.array([0.2, 0, 0, -0.1]) * 10 / (10 + Bar.unchanged_views))


def test_accuracies_are_means_over_classes_however_many_views_each_has():
    one = Judged(["a", "b"], np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), np.array([0, 1, 1, 1]))
    assert one.accuracy_before == pytest.approx((1.0 + 0.0) / 2)
    assert one.accuracy_after == pytest.approx((1 / 3 + 1.0) / 2)
    assert one.per_class()["a"]["views"] == 3


def test_a_class_without_views_is_not_judged():
    one = Judged(["a", "b", "c"], np.array([0, 2]), np.array([0, 0]), np.array([0, 2]))
    assert list(one.per_class()) == ["a", "c"]
    assert decide(one, GRAPHS, TIMES, Bar()).accepted


@pytest.mark.parametrize(
    ("precision", "figure", "value"),
    [
        ("int8", "cosine_min", 0.9),
        ("int8", "cosine_mean", 0.9),
        ("int8", "cosine_min", math.nan),
        ("fp32", "max_abs", 0.1),
        ("fp32", "max_abs", math.nan),
        ("fp32", "cosine_min", 0.99),
    ],
)
def test_a_graph_that_is_not_its_network_is_refused(precision, figure, value):
    spoiled = {name: dict(figures) for name, figures in GRAPHS.items()}
    spoiled[precision][figure] = value
    verdict = decide(judged([70, 80], [80, 90]), spoiled, TIMES, Bar())
    assert not verdict.accepted
    assert figure in verdict.reason
    assert precision in verdict.reason


def test_a_slower_tail_is_refused():
    verdict = decide(judged([70, 80], [80, 90]), GRAPHS, {"int8": 1.6, "fp32": 1.0}, Bar())
    assert verdict.reason == "found the int8 tail 1.60 times as slow as the current one, expected at most 1.25"


def test_falls_are_finite_and_json():
    assert json.dumps(judged([1, 2], [2, 1], views=3).per_class(), allow_nan=False)
