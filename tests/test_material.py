"""What a consolidation learns from, and what it keeps to judge by."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecl.errors import BackboneMismatch, ConsolidationRefused  # noqa: E402
from edgecl.types import Example, Latent  # noqa: E402
from edgecl.workstation.material import NO_EXPOSURE, Material, held_out  # noqa: E402

SHAPE = (6, 3, 3)


def material(classes: dict[int, list[int]], seed: int = 0, groups: int = 0) -> Material:
    """Class id → number of each example's lesson; with `groups`, examples of a class lie in so many clusters."""
    rng = np.random.default_rng(seed)
    codes, class_ids, lessons = [], [], []
    for class_id, its_lessons in classes.items():
        centres = rng.integers(-100, 100, (max(groups, 1), SHAPE[0], 1, 1))
        for number, lesson in enumerate(its_lessons):
            noise = rng.integers(-4, 5, SHAPE)
            codes.append((centres[number % len(centres)] + noise).astype(np.int8))
            class_ids.append(class_id)
            lessons.append(lesson)
    n = len(codes)
    return Material(
        np.stack(codes),
        np.full(n, 0.02, np.float32),
        np.full(n, -7, np.int64),
        np.array(class_ids),
        np.array(lessons),
        {class_id: f"class {class_id}" for class_id in classes},
    )


def example(number: int, class_id: int, trunk: str = "b" * 64) -> Example:
    codes = np.random.default_rng(number).integers(-128, 128, SHAPE).astype(np.int8)
    return Example(number, 10 + number, class_id, Latent(codes, 0.1 + number, number), trunk, None, 0.0, "usb:0")


def test_latents_come_back_as_the_memory_means_them():
    given = [example(number, number % 2) for number in range(5)]
    made = Material.of_examples(given, {0: "cup", 1: "pen", 2: "gone"}, "b" * 64)
    assert made.names == {0: "cup", 1: "pen"}
    assert made.rows.tolist() == [0, 1, 0, 1, 0]
    for number, one in enumerate(given):
        assert np.allclose(made.real()[number].numpy(), one.latent.real(), rtol=1e-6)


def test_examples_of_another_trunk_are_refused():
    with pytest.raises(BackboneMismatch, match="example 3 made by trunk cccccccccccc"):
        Material.of_examples([example(1, 0), example(2, 1), example(3, 1, "c" * 64)], {0: "a", 1: "b"}, "b" * 64)


@pytest.mark.parametrize(("classes", "found"), [([], "0 classes"), ([4, 4, 4], "1 classes")])
def test_fewer_than_two_classes_are_refused(classes, found):
    with pytest.raises(ConsolidationRefused, match=found):
        Material.of_examples([example(n, c) for n, c in enumerate(classes)], {4: "cup"}, "b" * 64)


def test_every_fourth_lesson_of_a_class_is_held_out_whole():
    found = material({0: [1] * 8 + [2] * 4 + [5] * 4 + [6] * 3 + [9] * 2, 5: [4] * 9 + [7] * 3})
    held = held_out(found)
    assert held[found.lessons == 6].all()
    assert not held[np.isin(found.lessons, [2, 5, 7, 9])].any()


def test_what_was_held_out_stays_so_whatever_is_taught_later():
    whole = material({0: [1] * 12 + [3] * 6 + [5] * 9 + [7] * 5 + [9] * 8, 1: [2] * 10 + [4] * 7}, groups=5)
    before = np.zeros(len(whole), bool)
    for newest in range(1, 10):
        so_far = whole.lessons <= newest
        held = np.zeros(len(whole), bool)
        held[so_far] = held_out(whole.select(so_far))
        assert held[before].all()
        assert not (held & ~before & (whole.lessons < newest)).any()
        before = held


@pytest.mark.parametrize("seed", range(5))
def test_what_was_trained_on_never_judges_also_where_the_memory_was_thinned(seed):
    whole = material({0: [1] * 40, 1: [2] * 40 + [3] * 9 + [5] * 8 + [6] * 7 + [7] * 9}, seed, groups=5)
    rng, left, exposure = np.random.default_rng(seed), np.ones(len(whole), bool), NO_EXPOSURE
    trained, judged = np.zeros(len(whole), bool), np.zeros(len(whole), bool)
    for _ in range(4):
        held = np.zeros(len(whole), bool)
        held[left] = held_out(whole.select(left), exposure)
        assert not (held & trained).any()
        assert not (judged & left & ~held).any()
        assert held.any()
        exposure = exposure.after(whole.select(left), held[left])
        trained |= left & ~held
        judged |= held
        left &= rng.random(len(whole)) < 0.75


def test_a_class_of_which_only_held_out_views_are_left_gives_the_older_half_to_be_trained_on():
    whole = material({0: [1] * 12, 1: [2] * 12}, groups=3)
    first = held_out(whole)
    left = first | (whole.class_ids == 1)
    held = held_out(whole.select(left), NO_EXPOSURE.after(whole, first))
    of_class = held[whole.select(left).class_ids == 0]
    older = (len(of_class) + 1) // 2
    assert of_class.tolist() == [False] * older + [True] * (len(of_class) - older)
    assert of_class.any()


@pytest.mark.parametrize("seed", range(5))
def test_of_one_lesson_whole_groups_of_like_views_are_held_out(seed):
    found = material({0: [1] * 20, 1: [2] * 20}, seed, groups=4)
    held = held_out(found)
    for class_id in (0, 1):
        mine = np.flatnonzero(found.class_ids == class_id)
        group = np.arange(20) % 4
        shares = [held[mine][group == g].mean() for g in range(4)]
        assert sorted(shares) == [0.0, 0.0, 0.0, 1.0]


def test_between_a_fifth_and_a_third_of_every_class_is_held_out():
    rng = np.random.default_rng(0)
    sizes = {k: int(rng.integers(8, 41)) for k in range(30)}
    found = material({k: [k] * size for k, size in sizes.items()}, groups=9)
    held = held_out(found)
    shares = [held[found.class_ids == k].mean() for k in sizes]
    assert max(shares) <= 1 / 3
    assert min(shares) > 0
    assert 0.15 < np.mean(shares) < 0.34


def test_every_class_keeps_something_to_learn_from():
    found = material({k: [k] * (k + 1) for k in range(6)})
    held = held_out(found)
    assert [int((~held)[found.class_ids == k].sum() > 0) for k in range(6)] == [1] * 6
    assert not held[found.class_ids == 0].any()
    assert held[found.class_ids == 1].sum() == 1


def test_one_example_of_each_class_leaves_nothing_to_judge_by():
    with pytest.raises(ConsolidationRefused, match="found nothing to hold out of 3 examples of 3 classes"):
        held_out(material({0: [1], 1: [2], 2: [3]}))
