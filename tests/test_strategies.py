"""Published strategies: what is promised of each, what tells them apart, and the command that runs them."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from commands import bare_home, run
from hypothesis import given
from hypothesis import strategies as st

from edgecl.backbone import Backbone
from edgecl.cameras import open_camera
from edgecl.config import BackboneSettings, CameraSettings
from edgecl.errors import ConfigRefused, ConsolidationRefused, InputRefused
from edgecl.evaluate import metrics, streams
from edgecl.evaluate.answers import Answers
from edgecl.evaluate.protocol import lessons_of
from edgecl.types import Latent

torch = pytest.importorskip("torch")

from edgecl.workstation import strategies  # noqa: E402
from edgecl.workstation.copied_head import CopiedHead  # noqa: E402
from edgecl.workstation.incremental import Settings  # noqa: E402
from edgecl.workstation.nets import Block, Tail  # noqa: E402
from edgecl.workstation.strategies import strategy_of  # noqa: E402

CLASSES, CHANNELS = 6, 4
LESSONS = [(0, 1), (2, 3), (4, 5)]
FROZEN_LATER = ("cwr", "cwr_plus", "cwr_star")
of_every_strategy = pytest.mark.parametrize("name", strategies.names())


@pytest.fixture(scope="module")
def tail():
    """One block and the last convolution, with weights as they are drawn."""
    torch.manual_seed(0)
    return Tail([Block(CHANNELS, CHANNELS, 2, 3, 1)], CHANNELS).eval()


def latents(classes, each=16, seed=0):
    """Noisy copies of one pattern a class: float32 (N, 4, 3, 3) and labels."""
    patterns = 2 * np.random.default_rng(7).normal(size=(CLASSES, CHANNELS, 3, 3))
    labels = np.repeat(np.asarray(classes, np.int64), each)
    noise = np.random.default_rng(seed).normal(scale=0.3, size=(len(labels), CHANNELS, 3, 3))
    return (patterns[labels] + noise).astype(np.float32), labels


def made(name, tail, seed=0, **settings):
    usual = {"epochs": 6, "batch": 8}
    return strategy_of(name)(tail, CLASSES, replace(strategy_of(name).defaults, **(usual | settings)), seed)


def after(learner, lessons=LESSONS):
    for lesson in lessons:
        learner.learn(*latents(lesson))
    return learner


def accuracy(learner, classes):
    shown, labels = latents(classes, seed=1)
    return float((learner.logits(shown).argmax(axis=1) == labels).mean())


def tensors(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one | other)


# What every strategy promises


@of_every_strategy
def test_the_first_lesson_is_learned(name, tail):
    assert accuracy(after(made(name, tail), LESSONS[:1]), LESSONS[0]) == 1.0


@of_every_strategy
def test_after_all_lessons_more_is_known_than_chance_would_have(name, tail):
    assert accuracy(after(made(name, tail)), range(CLASSES)) > 1.5 / CLASSES


@of_every_strategy
def test_a_class_that_did_not_come_up_is_never_answered(name, tail):
    scores = after(made(name, tail), LESSONS[:2]).logits(latents(range(CLASSES))[0])
    assert scores.shape == (CLASSES * 16, CLASSES)
    assert np.isfinite(scores[:, :4]).all()
    assert (scores[:, 4:] == -math.inf).all()


@of_every_strategy
def test_a_seed_gives_the_same_answers_again_and_another_seed_gives_others(name, tail):
    asked = latents(range(CLASSES))[0]
    first, again, other = (after(made(name, tail, seed), LESSONS[:2]).logits(asked) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@of_every_strategy
def test_the_tail_that_is_handed_in_stays_as_it_was(name, tail):
    before = tensors(tail)
    after(made(name, tail))
    assert same(before, tensors(tail))


@of_every_strategy
def test_the_statistics_of_batch_normalisation_stay_and_the_rest_of_the_tail_learns(name, tail):
    before, learned = tensors(tail), tensors(after(made(name, tail), LESSONS[:1]).tail)
    statistics = {key for key in before if "running" in key or "num_batches" in key}
    assert statistics
    assert all(torch.equal(before[key], learned[key]) for key in statistics)
    assert not torch.equal(before["conv.0.weight"], learned["conv.0.weight"])


@of_every_strategy
def test_only_the_cumulative_strategy_keeps_examples(name, tail):
    assert after(made(name, tail)).examples_kept == (96 if name == "cumulative" else 0)


@of_every_strategy
@pytest.mark.parametrize(
    ("shown", "labels"),
    [
        (np.zeros((2, CHANNELS, 3, 3), np.float32), np.array([0, CLASSES])),
        (np.zeros((2, CHANNELS, 3, 3), np.float32), np.array([0, -1])),
        (np.zeros((2, CHANNELS, 3, 3), np.float32), np.array([0])),
        (np.zeros((2, CHANNELS, 3, 3), np.int8), np.array([0, 1])),
        (np.zeros((0, CHANNELS, 3, 3), np.float32), np.zeros(0, np.int64)),
        (np.full((2, CHANNELS, 3, 3), np.nan, np.float32), np.array([0, 1])),
    ],
    ids=["label too large", "label below 0", "a label missing", "codes", "nothing", "no numbers"],
)
def test_a_lesson_that_makes_no_sense_is_refused(name, shown, labels, tail):
    learner = made(name, tail)
    with pytest.raises(ConsolidationRefused, match=r"found .* expected"):
        learner.learn(shown, labels)


def test_an_unknown_strategy_is_refused_with_those_that_exist():
    with pytest.raises(ConfigRefused, match=r"oracle.*ar1, cumulative, cwr, cwr_plus, cwr_star, ewc, lwf, naive, si"):
        strategy_of("oracle")


# What tells them apart


def test_naive_forgets_what_cumulative_keeps(tail):
    assert accuracy(after(made("naive", tail)), LESSONS[0]) < 0.5
    assert accuracy(after(made("cumulative", tail)), range(CLASSES)) == 1.0


@pytest.mark.parametrize("name", FROZEN_LATER)
def test_the_tail_is_frozen_after_the_first_lesson(name, tail):
    learner = after(made(name, tail), LESSONS[:1])
    first = tensors(learner.tail)
    after(learner, LESSONS[1:])
    assert same(first, tensors(learner.tail))


@pytest.mark.parametrize("name", sorted(set(strategies.names()) - set(FROZEN_LATER)))
def test_the_tail_goes_on_learning(name, tail):
    learner = after(made(name, tail), LESSONS[:1])
    first = tensors(learner.tail)
    after(learner, LESSONS[1:2])
    assert not same(first, tensors(learner.tail))


def test_rows_of_earlier_lessons_are_left_alone_by_the_copied_head(tail):
    for name in (*FROZEN_LATER, "ar1"):
        learner = after(made(name, tail), LESSONS[:1])
        first = learner.head.consolidated[:2].clone()
        after(learner, LESSONS[1:])
        assert torch.equal(learner.head.consolidated[:2], first), name


def test_a_copied_row_is_the_learned_one_less_the_mean_of_its_lesson():
    head = CopiedHead(2, 3)
    head.weight.data = torch.tensor([[1.0, 3.0], [5.0, 7.0], [100.0, 100.0]])
    head.end(torch.tensor([0, 1, 1]))
    assert head.consolidated.tolist() == [[-3.0, -1.0], [1.0, 3.0], [0.0, 0.0]]  # less 4
    assert head.past.tolist() == [1, 2, 0]


def test_a_class_that_comes_again_is_averaged_by_the_root_of_its_counts():
    head = CopiedHead(1, 2)
    head.consolidated[:] = torch.tensor([[9.0], [1.0]])
    head.past[:] = torch.tensor([4, 0])
    head.weight.data = torch.tensor([[6.0], [2.0]])
    head.end(torch.tensor([0, 1]))
    # √(4/1) = 2: (2·9 + (6 − 4)) / 3; a new class is overwritten: 2 − 4
    assert head.consolidated.flatten().tolist() == pytest.approx([20 / 3, -2.0])
    assert head.past.tolist() == [5, 1]


def test_temporary_weights_start_from_zero_and_in_cwr_star_from_what_is_known_of_the_lesson():
    head = CopiedHead(1, 3)
    head.consolidated[:] = torch.tensor([[9.0], [1.0], [3.0]])
    head.weight.data = torch.ones(3, 1)
    head.begin()
    assert head.weight.flatten().tolist() == [0.0, 0.0, 0.0]
    head.begin(known=torch.tensor([2]))
    assert head.weight.flatten().tolist() == [0.0, 0.0, 3.0]


def test_where_no_class_comes_again_cwr_star_is_cwr_plus(tail):
    asked = latents(range(CLASSES))[0]
    plus, star = (after(made(name, tail)).logits(asked) for name in ("cwr_plus", "cwr_star"))
    assert np.array_equal(plus, star)


def test_where_a_class_comes_again_cwr_star_is_not_cwr_plus(tail):
    asked = latents(range(4))[0]
    plus, star = (after(made(name, tail), [(0, 1), (1, 2, 3)]).logits(asked) for name in ("cwr_plus", "cwr_star"))
    assert not np.array_equal(plus, star)


def test_cwr_averages_rows_by_lessons(tail):
    learner = after(made("cwr", tail), [(0, 1)])
    once = learner.head.consolidated.clone()
    after(learner, [(1, 2)])
    assert torch.equal(learner.head.consolidated[0], once[0])
    assert torch.allclose(learner.head.consolidated[1], (once[1] + learner.head.weight[1]) / 2)
    assert torch.equal(learner.head.consolidated[2], learner.head.weight[2])


def test_lwf_without_strength_is_naive(tail):
    asked = latents(range(CLASSES))[0]
    lwf, naive = (after(made(name, tail, strength=0.0)).logits(asked) for name in ("lwf", "naive"))
    assert np.array_equal(lwf, naive)


def test_the_loss_of_lwf_is_its_formula(tail):
    learner = after(made("lwf", tail, strength=0.8), LESSONS[:1])
    shown, labels = latents(LESSONS[1])
    heard = {}
    usual = learner._loss

    def listening(embeddings, labels, rows):
        heard.setdefault("first", (learner.head(embeddings).detach(), usual(embeddings, labels, rows), labels, rows))
        return usual(embeddings, labels, rows)

    learner._loss = listening
    before = learner.logits(shown)[:, :2].astype(np.float64)
    learner.learn(shown, labels)
    now, loss, labels, rows = heard["first"]
    now = now.numpy().astype(np.float64)

    def soft(scores):
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    own = -np.log(soft(now[:, :4])[np.arange(len(now)), labels.numpy()]).mean()
    said, says = soft(before[rows] / 2), soft(now[:, :2] / 2)
    distance = (said * np.log(said / says)).sum(axis=1).mean()
    share = 0.8 * 2 / 4  # two classes of four are older
    assert loss.item() == pytest.approx((1 - share) * own + share * 4 * distance, rel=1e-4)


def test_ar1_without_strength_is_cwr_plus_with_a_free_tail(tail):
    asked = latents(range(CLASSES))[0]
    free = {"tail_rate_later": 0.005, "strength": 0.0}
    ar1, plus = (after(made(name, tail, **free)).logits(asked) for name in ("ar1", "cwr_plus"))
    assert np.array_equal(ar1, plus)


def gradients(learner, priced):
    """Of the first batch of a third lesson, by name."""
    shown, labels = latents(LESSONS[2])
    loss = learner._loss(learner.embed(torch.from_numpy(shown)), torch.from_numpy(labels), torch.arange(len(labels)))
    learner.tail.zero_grad()
    learner.head.zero_grad()
    (loss + learner.penalty.loss() if priced else loss).backward()
    return {
        f"{part}.{name}": param.grad.clone()
        for part in ("tail", "head")
        for name, param in getattr(learner, part).named_parameters()
    }


def moved(name, tail):
    """After two lessons, and a little away from where the second dropped anchor."""
    learner = after(made(name, tail, strength=0.1), LESSONS[:2])
    with torch.no_grad():
        for param in (*learner.tail.parameters(), *learner.head.parameters()):
            param.add_(0.01)
    learner.taught[:] = True
    return learner


def test_the_penalty_of_ar1_never_touches_the_head(tail):
    learner = moved("ar1", tail)
    free, priced = gradients(learner, priced=False), gradients(learner, priced=True)
    assert torch.equal(free["head.weight"], priced["head.weight"])
    assert not torch.equal(free["tail.conv.0.weight"], priced["tail.conv.0.weight"])


@pytest.mark.parametrize("name", ["ewc", "si"])
def test_where_the_head_is_shared_the_penalty_is_on_tail_and_head(name, tail):
    learner = moved(name, tail)
    free, priced = gradients(learner, priced=False), gradients(learner, priced=True)
    for param in ("head.weight", "tail.conv.0.weight"):
        assert not torch.equal(free[param], priced[param])


@pytest.mark.parametrize("name", ["ewc", "si"])
def test_rows_of_classes_to_come_are_free(name, tail):
    learner = moved(name, tail)
    free, priced = (gradients(learner, priced)["head.weight"] for priced in (False, True))
    assert torch.equal(free[4:], priced[4:])
    assert not torch.equal(free[:4], priced[:4])


@pytest.mark.parametrize("name", ["ewc", "si"])
def test_without_strength_a_penalty_is_naive(name, tail):
    asked = latents(range(CLASSES))[0]
    guarded, naive = (after(made(one, tail, strength=0.0), LESSONS[:2]).logits(asked) for one in (name, "naive"))
    if name == "si":  # ewc draws the examples that it asks about, and so the next lesson comes in another order
        assert np.allclose(guarded, naive, atol=1e-5)
    assert guarded.shape == naive.shape


def test_what_is_kept_between_lessons_is_counted(tail):
    in_tail = sum(param.numel() for param in tail.parameters())
    head = CLASSES * 1280
    expected = {
        "naive": 0,
        "cumulative": 0,
        "lwf": 0,
        "si": 2 * (in_tail + head + CLASSES),
        "ewc": 2 * (in_tail + head + CLASSES),
        "cwr_plus": head + CLASSES,
        "ar1": head + CLASSES + 2 * in_tail,
    }
    assert {name: made(name, tail).numbers_kept for name in expected} == expected


def test_a_rate_out_of_bounds_is_refused_and_not_called_learned(tail):
    with pytest.raises(ConsolidationRefused, match="smaller rate"):
        after(made("naive", tail, rate=1e30, tail_rate=1e30), LESSONS[:1])


def test_settings_are_those_of_the_strategy_unless_given(tail):
    assert strategy_of("ar1")(tail, 2).settings == strategy_of("ar1").defaults
    assert strategy_of("ar1")(tail, 2, Settings(rate=0.3)).settings.rate == 0.3


# Lessons and figures


@given(st.integers(1, 60), st.data())
def test_lessons_are_of_nearly_equal_size_and_hold_every_class_once(classes, data):
    lessons = lessons_of(classes, data.draw(st.none() | st.integers(1, classes)))
    sizes = [len(lesson) for lesson in lessons]
    assert max(sizes) - min(sizes) <= 1
    assert [label for lesson in lessons for label in lesson] == list(range(classes))


def test_more_lessons_than_classes_are_refused():
    with pytest.raises(InputRefused, match="found 5 lessons for 4 classes, expected 1 to 4"):
        lessons_of(4, 5)


def test_figures_of_lessons_with_two_classes_are_those_by_hand():
    answers = Answers(np.array([0, 1, 2, 3]), [range(0, 2), range(2, 4)])
    assert answers.asked.tolist() == [True, True, False, False]
    answers.add(np.array([[1.0, 0.0], [0.0, 1.0]]))  # both right
    # now 0 is taken for its neighbour 1, 1 for the later 2; 2 is right, 3 is taken for the earlier 0
    answers.add(np.array([[0.0, 3, 1, 2], [0, 1, 2, 0], [0, 0, 1, 0], [2, 0, 0, 1]]))
    found = answers.figures(("a", "b", "c", "d"))
    assert found["final_accuracy"] == 0.25
    assert found["average_accuracy"] == pytest.approx((1.0 + 0.25) / 2)
    assert found["forgetting"] == pytest.approx(1.0 - 0.0)
    assert found["forgetting_among_earlier"] == pytest.approx(1.0 - 0.5)
    assert found["per_class"] == {"a": 0.0, "b": 0.0, "c": 1.0, "d": 0.0}


def test_average_accuracy_of_lessons_counts_the_classes_known():
    accuracy = np.array([[1.0, 0.5, 0, 0], [0.5, 0.5, 1.0, 0.0]])
    assert metrics.average_accuracy(accuracy, [2, 4]) == pytest.approx((0.75 + 0.5) / 2)


# On pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four photographs in a simulated hand, as train/ and test/."""
    root = tmp_path_factory.mktemp("things")
    for name in ("cat", "coffee", "rocket", "astronaut"):
        for part, count, seed in (("train", 4, 1), ("test", 2, 2)):
            (root / part / name).mkdir(parents=True)
            frames = open_camera(f"sample://{name}?seed={seed}&frames={count * 5}", CameraSettings())
            for index, frame in enumerate(frames):
                if index % 5 == 0:
                    cv2.imwrite(str(root / part / name / f"{index:03d}.png"), frame.image)
    return root


@pytest.fixture(scope="module", params=["int8", "fp32"])
def backbone(request, backbone_folder):
    return Backbone(backbone_folder, BackboneSettings(precision=request.param))


def test_latents_are_of_the_same_pictures_as_the_embeddings(folder, backbone):
    embedded, seen = (make(folder, backbone, 1) for make in (streams.class_stream, streams.latent_stream))
    assert seen.names == embedded.names
    for part in ("train", "test"):
        found = getattr(seen, part)
        assert np.array_equal(found.labels, getattr(embedded, part).labels)
        assert (found.codes.dtype, found.codes.shape) == (np.int8, (len(found), 192, 7, 7))
    kept = [
        Latent(code, float(scale), int(zero))
        for code, scale, zero in zip(seen.train.codes, seen.train.scales, seen.train.zero_points, strict=True)
    ]
    if not backbone.latents_are_exact:  # a code of its own for each picture
        assert len(set(seen.train.scales)) > 1
        assert np.abs(backbone.embed(kept) - embedded.train.vectors).max() < 1e-5
    assert np.allclose(seen.train.real(), np.stack([latent.real() for latent in kept]), rtol=1e-6)


def test_latents_from_the_cache_are_those_computed(folder, backbone, tmp_path):
    computed, cached = (streams.latent_stream(folder, backbone, 0, tmp_path) for _ in range(2))
    assert len(list(tmp_path.iterdir())) == 2
    for part in ("train", "test"):
        one, other = getattr(computed, part), getattr(cached, part)
        assert np.array_equal(one.real(), other.real())
        assert np.array_equal(one.labels, other.labels)


def test_a_damaged_entry_of_latents_is_made_anew(folder, backbone, tmp_path):
    computed = streams.latent_stream(folder, backbone, 0, tmp_path)
    for entry in tmp_path.iterdir():
        entry.write_bytes(entry.read_bytes()[:-1])
    assert np.array_equal(streams.latent_stream(folder, backbone, 0, tmp_path).train.codes, computed.train.codes)


@pytest.fixture(scope="module")
def home(tmp_path_factory, backbone_folder):
    return bare_home(tmp_path_factory.mktemp("of") / "home", backbone_folder)


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_strategy_answers_with_the_fields_of_every_evaluation(precision, folder, home):
    usual = ("eval", "nc", folder, "--home", home, "--precision", precision, "--lessons", 2, "--json")
    own, published = run(*usual, "--keep", 2).record, run(*usual, "--strategy", "cwr_plus").record
    assert set(published) == set(own)
    assert (own["method"], own["lessons"], own["examples_kept_per_class"]) == ("softmax", 2, 2)
    assert (published["method"], published["lessons"], published["classes"]) == ("cwr_plus", 2, 4)
    assert (published["examples_kept_per_class"], published["bytes_memory"]) == (0, 4 * (4 * 1280 + 4))
    assert published["precision"] == precision
    assert published["final_accuracy"] >= 0.75
    assert set(published["per_class"]) == set(own["per_class"])


def test_a_strategy_that_keeps_everything_says_so(folder, home):
    found = run("eval", "nc", folder, "--home", home, "--strategy", "cumulative", "--json").record
    assert found["lessons"] == 4  # as many as there are classes, where ten are too many
    assert (found["examples_kept_per_class"], found["bytes_memory"]) == (4, 16 * 192 * 7 * 7)


def test_a_strategy_is_reported_in_words(folder, home):
    found = run("eval", "nc", folder, "--home", home, "--strategy", "cwr_plus", "--lessons", 2)
    assert found.status == 0
    assert f"4 classes of {folder.name}, in 2 lessons" in found.out
    assert "cwr_plus" in found.out


def test_an_unknown_strategy_is_refused_by_the_command(folder, home):
    found = run("eval", "nc", folder, "--home", home, "--strategy", "oracle")
    assert found.status == 1
    assert "oracle" in found.err
    assert "cwr_plus" in found.err


@pytest.mark.parametrize("more", [(), ("--strategy", "naive")], ids=["own head", "strategy"])
def test_more_lessons_than_classes_are_refused_by_the_command(more, folder, home):
    found = run("eval", "nc", folder, "--home", home, "--lessons", 5, *more)
    assert found.status == 1
    assert "found 5 lessons for 4 classes" in found.err
